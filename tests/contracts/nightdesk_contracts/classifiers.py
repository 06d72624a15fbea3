"""What a classifier promises (`triage.Classifier`)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from store.event import Event, ExceptionValue, Frame
from triage import Classifier
from triage.analyse import Analysis, History, analyse
from triage.locate import Located

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def known(*exceptions: ExceptionValue, **more: object) -> tuple[Event, Analysis]:
    """An event of which nothing but this is known, and its analysis."""
    event = Event(event_id="e", project="shop", received_at=NOW, timestamp=NOW, exceptions=exceptions, **more)  # type: ignore[arg-type]
    frames = exceptions[-1].frames if exceptions else ()
    located = Located((None,) * len(frames), tuple(frame.in_app for frame in frames), None)
    return event, analyse(event, located, History())


ODD = (
    known(),
    known(ExceptionValue(type="", value="")),
    known(ExceptionValue(type="X" * 10_000, value="\x00\ud800" * 1000)),
    known(ExceptionValue(type="KeyError", value="'a'", frames=(Frame(),))),
    known(level="", tags={"": ""}, user={}, contexts={"a": {"b": None}}),
)


class ClassifierContract:
    """Give `part`."""

    @pytest.fixture
    def part(self) -> Classifier:
        raise NotImplementedError

    def test_its_name_says_its_version(self, part: Classifier) -> None:
        name, at, version = part.name.partition("@")
        assert name
        assert at == "@"
        assert version

    @pytest.mark.parametrize("number", range(len(ODD)))
    def test_every_verdict_has_reasons_a_score_and_whose_it_is(self, part: Classifier, number: int) -> None:
        verdict = part.classify(*ODD[number])
        assert verdict.reasons
        assert all(reason.strip() for reason in verdict.reasons)
        assert 0.0 <= verdict.score <= 1.0
        assert verdict.classifier == part.name
        assert verdict.signal == (verdict.score >= verdict.threshold)

    @pytest.mark.parametrize("number", range(len(ODD)))
    def test_the_same_input_gives_the_same_verdict(self, part: Classifier, number: int) -> None:
        assert part.classify(*ODD[number]) == part.classify(*ODD[number])

    def test_doubt_survives_as_signal(self, part: Classifier) -> None:
        frame = Frame(function="price", filename="shop/cart.py", lineno=3, in_app=True)
        crash = known(
            ExceptionValue(type="ZeroDivisionError", value="division by zero", handled=False, frames=(frame,))
        )
        assert part.classify(*crash).signal
