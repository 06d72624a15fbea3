"""One text is screened as many are: for the same detectors, in the same order."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from triage.detectors import DETECTORS, detectors, wanted
from triage.redaction_rules import read_rules
from triage.screening import Screen
from triage.sensitive import NAME_TRIGGERS, PROVIDER_TRIGGERS

PIECES = [*NAME_TRIGGERS, *PROVIDER_TRIGGERS, "Cookie:", "COOKIE :", "://", "@", "%40", "Private Key", "İ", "ß", "ｐａｓｓ",
          "4111 1111 1111 1111", "DE89 3704 0044", "SK" + "0" * 32, "\x1e", "eyJ", "Bearer ", "cGFzc3dvcmQ9aHVudGVyMg=="]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=6).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, capitals=st.booleans())
@example(text="İ ann@example.com", capitals=False)
def test_a_text_by_itself_calls_the_detectors_that_it_calls_among_others(text: str, capitals: bool) -> None:
    said = (text.upper() if capitals else text).replace("\x1e", "")
    assert Screen(DETECTORS).of(said) == wanted([said, "plain words"]).get(said, [])


def test_what_a_team_adds_is_screened_for_too() -> None:
    every = detectors(read_rules({"dictionary": ["Project Bluebird"], "addresses": True}))
    for text in ("about Project Bluebird", "from 10.1.2.3", "from nowhere"):
        assert Screen(every).of(text) == wanted([text], every).get(text, [])
    assert Screen(every).of("from nowhere") == []


def test_every_word_that_calls_a_detector_is_looked_for() -> None:
    screen = Screen(DETECTORS)
    words = {word for detector in DETECTORS if detector.trigger is None for word in detector.triggers}
    assert words
    for word in words:
        assert screen.of(f"x{word.upper()}x"), word
    assert not screen.of(re.sub("x", "y", "xx"))
