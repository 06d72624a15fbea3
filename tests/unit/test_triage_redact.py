"""Redaction: planted secrets are gone, what helps to find a bug stays, twice is the same as once."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.event import Breadcrumb, Request
from tests.unit.triage_samples import CORPUS, NOW, event, frame, raised
from triage.detectors import wanted
from triage.formats.sentry import receive
from triage.redact import Redactor
from triage.sensitive import NAME_TRIGGERS, is_iban, name_strength, passes_luhn

REDACTOR = Redactor(b"project key")
_HEX = "0123456789abcdef" * 4


def _fake(prefix: str, length: int) -> str:
    """A key in a provider's shape; put together here so that no scanner takes it for a real one."""
    return prefix + ("aZ3" * 40)[:length]


_JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"HS256"}', b'{"sub":"42"}', b"x" * 32)
)
_PRIVATE = "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEow" + "IBAAKCAQEA\n-----END " + "RSA PRIVATE KEY-----"

# name of the place -> (text with something planted, what must be gone)
PLANTED = {
    "form field": ("user=bob&password=hunter2&x=1", "hunter2"),
    "repr of a dict": ("{'password': 'hun\\'ter2', 'a': 1}", "ter2"),
    "repr of an object": ("Config(db_password='s3same', retries=3)", "s3same"),
    "JSON": ('{"client_secret": "abc-def", "n": 1}', "abc-def"),
    "JSON in JSON": ('{"body": "{\\"access_token\\": \\"tok-5up3r\\"}"}', "tok-5up3r"),
    "address with a token": ("GET https://api.example/x?page=2&api_key=k3yk3yk3y", "k3yk3yk3y"),
    "bearer": ("Authorization: Bearer " + _HEX[:24], _HEX[:24]),
    "basic": ("sent 'Basic " + base64.b64encode(b"bob:hunter22").decode() + "'", "Ym9iOmh1bnRlcjIy"),
    "cookie header": ("Cookie: sid=5e551on; theme=dark", "5e551on"),
    "database address": ("postgresql://app:s3cr3t@db:5432/shop refused", "s3cr3t"),
    "DSN": ("https://" + _HEX[:32] + "@errors.example/1", _HEX[:32]),
    "jwt": ("got " + _JWT + " from peer", _JWT[-20:]),
    "private key": (_PRIVATE, "IBAAKCAQEA"),
    "private key, cut": (_PRIVATE[:50], "MIIEow"),
    "stripe": (_fake("sk_" + "live_", 24), "aZ3aZ3"),
    "our own token": ("sent " + _fake("nd" + "_" + _HEX[:12] + "_", 43), "aZ3aZ3"),
    "github": ("token " + _fake("gh" + "p_", 36), "aZ3aZ3"),
    "aws": ("AK" + "IA" + "ABCDEFGH12345678", "ABCDEFGH12345678"),
    "slack": ("xo" + "xb-123456789012-abcdefABCDEF", "abcdefABCDEF"),
    "anthropic": ("key is " + _fake("sk-" + "ant-", 40), "aZ3aZ3"),
    "e-mail": ("no account for Ann.Lee+x@example.com!", "Ann.Lee"),
    "e-mail in an address": ("/users?mail=ann%40example.com", "ann%40"),
    "card": ("charge 4111 1111 1111 1111 failed", "1111 1111"),
    "card without blanks": ("pan:5555555555554444", "5555555555554444"),
    "IBAN": ("to GB82 WEST 1234 5698 7654 32", "WEST"),
    "SSN": ("ssn 123-45-6789", "123-45-6789"),
    "phone": ("call +49 170 1234567 back", "1234567"),
    "phone, American": ("call (415) 555-2671", "555-2671"),
}

# What helps to find a bug and looks a little like the above.
KEPT = [
    "unexpected token: foo at line 12",
    "KeyError: 'token'",
    "order 1234567890123 not found",
    "order 48213 of batch 2026-11-20-0007 at 2026-11-20T10:00:00.123456+00:00",
    "ts=1763634000123 us=1763634000123456 ns=1763634000123456789",
    "123e4567-e89b-12d3-a456-426614174000",
    "commit 3475979dce7135b0621b58d8c99cef960174bbe9",
    "4111111111111112 fails the check digit",
    "password: must be at least 8 characters",
    "connection to 10.0.3.7:8443 refused",
    "max_tokens=100, token_type=bearer, author=Ann",
    "password_field_name='pwd_new'",
    "password=None, api_key='', secret=null",
    "git@github.com:acme/shop.git"[3:],
    "list[int] @ matrix",
    "<function session at 0x7f5d14b02ac0>",
    "2026.11.3",
    "192.168.0.1",
    "1-800 lines, 555-1234",
]


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_planted_is_gone(name):
    text, planted = PLANTED[name]
    assert planted in text
    assert planted not in REDACTOR.text(text)


@pytest.mark.parametrize("text", KEPT)
def test_what_helps_to_find_a_bug_stays(text):
    assert REDACTOR.text(text) == text


def _full(text: str):
    """An event with the text in every place that an application can put text."""
    return event(
        raised(
            "E",
            text,
            frame("/a.py", 1, "f", f"x = {text!r}", vars={"a": text, "b": {"c": [text, repr(text)]}}),
        ),
        message=text,
        transaction=text,
        request=Request(
            url=f"http://x/?q={text}",
            query_string=text,
            headers={"X-Note": text},
            cookies={"c": text},
            data={"list": [text]},
            env={"E": text},
        ),
        breadcrumbs=(Breadcrumb(message=text, data={"d": text}),),
        tags={"t": text},
        user={"id": text},
        contexts={"c": {"d": text}},
        extra={"e": [{"f": text}]},
        client_fingerprint=(text,),
    )


_IN_SOURCE_LINES = {  # where a name alone tells, a line of source keeps what does not look like a credential
    "form field",
    "repr of a dict",
    "repr of an object",
    "JSON",
    "JSON in JSON",
    "address with a token",
    "cookie header",
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_planted_is_gone_from_every_part_of_an_event(name):
    text, planted = PLANTED[name]
    full = _full(text)
    if name in _IN_SOURCE_LINES:
        (only,) = full.exceptions
        bare = only.frames[0].model_copy(update={"context_line": None})
        full = full.model_copy(update={"exceptions": (only.model_copy(update={"frames": (bare,)}),)})
    clean = REDACTOR.redact(full)
    assert planted not in clean.model_dump_json(exclude={"redactions"})
    assert {"/message", "/tags/t", "/exceptions/0/value"} <= {row.pointer for row in clean.redactions}


@pytest.mark.parametrize("name", PLANTED)
def test_redacting_twice_changes_nothing(name):
    once = REDACTOR.redact(_full(PLANTED[name][0]))
    assert REDACTOR.redact(once) == once


_PIECES = st.sampled_from(
    [text for text, _ in PLANTED.values()]
    + KEPT
    + ["'", '"', "\\", "=", ": ", "@", "+", "-", "&", " ", "://", ";"]
)
_MIXED = st.lists(_PIECES | st.text(max_size=6), max_size=5).map("".join)


@settings(max_examples=300, deadline=None)
@given(_MIXED)
def test_any_text_redacted_twice_is_redacted_once(text):
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


def test_a_name_at_any_depth_takes_everything_below_it_out():
    extra = {"config": {"credentials": {"user": "bob-the-user", "parts": ["alpha", 12345]}, "port": 5432}}
    clean = REDACTOR.redact(event(extra=extra)).extra
    kept = json.dumps(clean)
    assert "bob-the-user" not in kept
    assert "alpha" not in kept
    assert "12345" not in kept
    assert clean["config"]["port"] == 5432


def test_a_short_local_called_token_is_a_lexers_and_stays():
    local = {
        "token": "'+'",
        "tokens": ["'a'", "'b'"],
        "token_type": "'NUMBER'",
        "session": "<Session 0x1>",
        "key": "'sku'",
    }
    found = event(raised("E", "", frame("/a.py", 1, "f", vars={**local, "access_token": "'short'"})))
    clean = REDACTOR.redact(found).exceptions[0].frames[0].vars
    assert {name: clean[name] for name in local} == local
    assert "short" not in clean["access_token"]


def test_a_long_mixed_local_called_token_is_a_secret():
    found = event(raised("E", "", frame("/a.py", 1, "f", vars={"token": "'9f8e7d6c5b4a39281706abcd'"})))
    assert "9f8e7d6c" not in REDACTOR.redact(found).model_dump_json()


def test_source_lines_keep_their_code():
    lines = (
        'password = request.form["password"]',
        "token = tokens[0]",
        'if header == "Authorization":',
        'key="sku"',
    )
    found = event(raised("E", "", frame("/a.py", 1, "f", lines[0], pre_context=lines)))
    clean = REDACTOR.redact(found)
    assert clean.exceptions == found.exceptions
    assert clean.redactions == ()


def test_the_lines_of_a_private_key_in_source_are_taken_out():
    lines = (
        "KEY = '''-----BEGIN " + "PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA",
        "-----END",
    )
    clean = REDACTOR.redact(event(raised("E", "", frame("/a.py", 1, "f", pre_context=lines))))
    assert "MIIEvQ" not in clean.model_dump_json()


def test_tokens_keep_the_shape_of_what_they_replace():
    found = REDACTOR.text(
        "a ann@example.com b 4111-1111-1111-1111 c GB82 WEST 1234 5698 7654 32 d postgres://u:pw@h/d"
    )
    mail, card, iban = (
        re.search(r"\S+@redacted\.example", found),
        re.search(r"\d{4}(-\d{4}){3}", found),
        re.search(r"ZZ[\d ]+", found),
    )
    assert mail
    assert card
    assert iban
    assert passes_luhn(card[0].replace("-", ""))
    assert is_iban(iban[0].strip())
    assert re.search(r"postgres://u:redacted-s-[0-9a-f]{10}@h/d", found)


def test_the_same_value_gives_the_same_token_under_one_key_and_another_under_another():
    one, two = REDACTOR.text("to ann@example.com"), REDACTOR.text("from ann@example.com")
    assert one.split()[1] == two.split()[1]
    assert Redactor(b"other").text("to ann@example.com") != one


def test_an_address_of_a_machine_stays_and_a_user_name_becomes_a_token():
    clean = REDACTOR.redact(event(user={"ip_address": "203.0.113.7", "username": "ann", "id": "42"})).user
    assert clean["ip_address"] == "203.0.113.7"
    assert clean["id"] == "42"
    assert re.fullmatch(r"user-[0-9a-f]{10}", clean["username"])


def test_an_audit_row_says_where_and_what_but_never_the_value():
    clean = REDACTOR.redact(event(extra={"a/b": {"password": "hunter2"}}))
    (row,) = clean.redactions
    assert (row.pointer, row.kind, row.rule) == ("/extra/a~1b/password", "secret", "name")


def test_every_name_that_tells_has_a_trigger():
    names = [
        "password",
        "dbPasswd",
        "pwd",
        "passphrase",
        "client_secret",
        "X-Api-Key",
        "private_key",
        "auth_token",
        "Authorization",
        "Set-Cookie",
        "credentials",
        "session_id",
        "PHPSESSID",
        "csrfmiddlewaretoken",
        "xsrf",
        "cvv",
        "cvc",
        "otp",
        "ssn",
        "iban",
        "jwt",
        "sid",
        "bearer",
        "passcode",
        "pin",
    ]
    assert [name for name in names if not name_strength(name)] == []
    assert [name for name in names if not any(trigger in name.lower() for trigger in NAME_TRIGGERS)] == []


@pytest.mark.parametrize(
    "name",
    [
        "author",
        "keyboard",
        "primary_key",
        "token_count",
        "monkey",
        "compass",
        "key",
        "password_hasher",
        "cookie_name",
        "spin",
        "tokenizer",
    ],
)
def test_names_that_only_look_alike_tell_nothing(name):
    assert name_strength(name) == 0


def test_a_text_that_no_detector_wants_is_not_looked_at():
    assert wanted(["plain words", "x" * 50]) == {}
    assert list(wanted(["İ ann@example.com", "plain"])) == ["İ ann@example.com"]


def test_a_real_event_keeps_its_stack_and_loses_its_addresses():
    (found,) = receive(
        (CORPUS / "wire/py-flask.envelope").read_bytes(), project="shop", received_at=NOW
    ).events
    clean = REDACTOR.redact(found)
    assert "ann@example.com" not in clean.model_dump_json()
    for before, after in zip(found.exceptions, clean.exceptions, strict=True):
        assert [(f.function, f.lineno, f.context_line) for f in before.frames] == [
            (f.function, f.lineno, f.context_line) for f in after.frames
        ]
    assert REDACTOR.redact(clean) == clean
