"""What a team adds to redaction, what is hidden in other alphabets and encodings, and what tokens keep."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.intake.redaction import Redaction, load_rules
from store.errors import BadPayload, Unavailable
from store.event import Request
from tests.unit.triage_samples import event, frame, raised
from triage.redact import Redactor
from triage.redaction_rules import read_rules

REDACTOR = Redactor(b"project key")
ASKED = Redactor(
    b"project key",
    read_rules(
        {
            "addresses": True,
            "dictionary": ["Project Blue", "Ann Lee"],
            "allow": ["@acme.example", "4111111111111111"],
            "allow_names": ["session_token"],
        }
    ),
)


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


DISGUISED = {
    "full width": ("ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ａｎｎ"),
    "full-width digits": ("card ４１１１ １１１１ １１１１ １１１１", "４１１１"),
    "invisible character": ("pass\u200bword=hunter2x1", "hunter2x1"),
    "Cyrillic letters": ("раssword=hunter2x1", "hunter2x1"),
    "percent encoding": ("q=password%3Dhunter2x1%26x%3D1", "hunter2x1"),
    "percent encoding, twice": ("mail=ann%2540example.com", "ann"),
    "JSON escape": ("mail ann\\u0040example.com", "ann"),
    "escape of a repr": ("mail ann\\x40example.com", "ann"),
    "HTML entity": ("ann&#64;example.com", "ann"),
    "base64 of JSON": (in_base64('{"user":"ann","password":"hunter2x1"}'), in_base64('"hunter2x1"')[4:12]),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_a_disguise_hides_nothing(name: str) -> None:
    text, planted = DISGUISED[name]
    clean = REDACTOR.text(f"before {text} after")
    assert planted not in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert REDACTOR.text(clean) == clean


def test_what_was_in_base64_is_still_base64_of_the_same_kind() -> None:
    clean = REDACTOR.text(in_base64('{"user":"ann","password":"hunter2x1"}'))
    content = json.loads(base64.b64decode(clean))
    assert content["user"] == "ann"
    assert content["password"].startswith("redacted-m-")


def test_a_name_in_look_alike_letters_is_the_name() -> None:
    clean = REDACTOR.redact(event(extra={"раsswоrd": "hunter2x1", "ｔｏｋｅｎ_id": "7"}))
    assert clean.extra["раsswоrd"].startswith("redacted-")
    assert clean.extra["ｔｏｋｅｎ_id"] == "7"


@pytest.mark.parametrize(
    "text",
    ["Straße, café, naïve – fine…", "日本語のテキスト 2026", "100%25 sure", "/srv/App2/Web/Crash/shop.py"],
)
def test_text_in_any_language_stays_as_it_was_written(text: str) -> None:
    assert REDACTOR.text(text) == text


def test_addresses_of_machines_go_if_asked_and_their_tokens_parse() -> None:
    text = "from 203.0.113.7 and 10.0.0.1 and 2001:db8:0:1::7 and fe80::1ff:fe23:4567:890a, version 1.2.3 at 12:30:45, ::1"
    clean = ASKED.text(text)
    assert not re.search(r"203\.0\.113\.7|10\.0\.0\.1|fe80", clean)
    assert "version 1.2.3 at 12:30:45, ::1" in clean
    found = re.findall(r"(?:from|and) ([0-9a-f:.]+[0-9a-f])", clean)
    assert len(found) == 4
    assert all(ipaddress.ip_address(address) for address in found)
    assert ASKED.text(clean) == clean
    assert REDACTOR.text(text) == text


def test_phrases_of_the_dictionary_go_whatever_their_case_and_spacing() -> None:
    clean = ASKED.text("about PROJECT  blue and ann lee, not annlee")
    assert re.fullmatch(r"about redacted-m-\w+ and redacted-s-\w+, not annlee", clean)


def test_what_is_allowed_stays() -> None:
    clean = ASKED.text("bob@acme.example wrote to bob@evil.example with 4111111111111111")
    assert "bob@acme.example" in clean
    assert "4111111111111111" in clean
    assert "bob@evil.example" not in clean
    kept = ASKED.redact(event(extra={"session_token": "abc-def-123-456-ghi"})).extra
    assert kept == {"session_token": "abc-def-123-456-ghi"}


SCHEMA = {
    "$defs": {
        "person": {
            "properties": {"mail": {"x-redact": True, "format": "email"}, "born": {"x-redact": "secret"}}
        }
    },
    "properties": {
        "customer": {"$ref": "#/$defs/person"},
        "friends": {"items": {"$ref": "#/$defs/person"}},
        "account": {"x-redact": "iban"},
        "pan": {"x-redact": "card"},
        "height": {"type": "number"},
    },
    "patternProperties": {"^note": {"x-redact": "secret"}},
}


def test_a_schema_takes_out_what_it_tags_with_a_row_for_each() -> None:
    redactor = Redactor(b"k", read_rules({"schemas": {"request": SCHEMA}}))
    body = {
        "customer": {"mail": "ann@corp", "born": "1980-01-02"},
        "friends": [{"mail": "bob@corp"}],
        "pan": "1234 5678 9012 3456",
        "note_1": "met in Rome",
        "height": 1.8,
    }
    clean = redactor.redact(event(request=Request(data=body)))
    assert clean.request is not None
    found = clean.request.data
    assert found["height"] == 1.8
    assert found["customer"]["mail"].endswith("@redacted.example")
    assert re.fullmatch(r"\d{4} \d{4} \d{4} \d{4}", found["pan"])
    text = json.dumps(found)
    assert not any(value in text for value in ("ann@", "1980", "bob@", "3456", "Rome"))
    assert {(row.pointer, row.kind) for row in clean.redactions} >= {
        ("/request/data/customer/mail", "email"), ("/request/data/customer/born", "secret"),
        ("/request/data/friends/0/mail", "email"), ("/request/data/pan", "card"), ("/request/data/note_1", "secret"),
    }  # fmt: skip
    assert redactor.redact(clean) == clean


def test_a_schema_for_locals_keeps_the_quotes_of_a_repr() -> None:
    redactor = Redactor(
        b"k", read_rules({"schemas": {"vars": {"properties": {"who": {"x-redact": "name"}}}}})
    )
    clean = redactor.redact(event(raised("E", "", frame("/a.py", 1, "f", vars={"who": "'Ann'", "n": "3"}))))
    local = clean.exceptions[0].frames[0].vars
    assert re.fullmatch(r"'user-[0-9a-f]{10}'", local["who"])
    assert local["n"] == "3"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "JSON object"),
        ({"dictionry": []}, "dictionry"),
        ({"schemas": {"body": {}}}, "body"),
        ({"schemas": {"request": {"properties": {"a": {"x-redact": "emial"}}}}}, "emial"),
        ({"allow": "x"}, "allow"),
    ],
)
def test_rules_that_would_do_nothing_are_refused_with_their_name(document: object, said: str) -> None:
    with pytest.raises(BadPayload, match=said):
        read_rules(document)


def test_a_file_of_rules_that_cannot_be_read_stops_the_house(tmp_path: Path) -> None:
    assert load_rules(tmp_path).dictionary == ()
    (tmp_path / "redaction.json").write_text('{"dictionary": ["x y"]}')
    assert load_rules(tmp_path).dictionary == ("x y",)
    (tmp_path / "redaction.json").write_text("{")
    with pytest.raises(Unavailable, match="not JSON"):
        load_rules(tmp_path)
    with pytest.raises(Unavailable, match="cannot be read"):
        load_rules(tmp_path, str(tmp_path / "absent.json"))


def test_the_same_value_has_one_token_in_a_project_and_another_in_another_project(tmp_path: Path) -> None:
    redaction = Redaction.of_folder(tmp_path)
    one, two, other = (
        redaction.redact(
            event(message="from ann@example.com").model_copy(update={"project": project})
        ).message
        for project in ("shop", "shop", "bank")
    )
    assert one == two
    assert one != other
    again = Redaction.of_folder(tmp_path)
    assert (
        again.redact(event(message="from ann@example.com").model_copy(update={"project": "shop"})).message
        == one
    )


@given(st.text(alphabet="abcXYZ0189-_", min_size=24, max_size=200))
@settings(max_examples=100, deadline=None)
def test_the_token_of_a_long_secret_is_as_long_as_the_secret(value: str) -> None:
    clean = REDACTOR.redact(event(extra={"password": value})).extra["password"]
    assert len(clean) == len(value)
    assert clean != value


_PARTS = [text for text, _ in DISGUISED.values()] + [
    "%",
    "%25",
    "\\u00",
    "&#",
    "é",
    "\u200b",
    "=",
    " ",
    "@",
    "ann@example.com",
]


@given(st.lists(st.sampled_from(_PARTS) | st.text(max_size=5), max_size=5).map("".join))
@settings(max_examples=300, deadline=None)
def test_disguises_taken_out_twice_are_taken_out_once(text: str) -> None:
    once = ASKED.text(text)
    assert ASKED.text(once) == once
