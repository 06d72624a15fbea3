# Written by write_rules.py from the server's triage/detectors.py: change it there.
# ruff: noqa
"""Detectors: one pattern each, the cheap triggers without which it need not run, and what it puts in place.

A detector looks at a text only if one of its triggers is in it; `wanted` finds that out for all texts of an
event in
one pass over them joined together.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

TypeAlias = Any

from nightdesk_capture.rules import sensitive
from nightdesk_capture.rules.disguises import BASE64_HINT, HINT, inside_base64, without_disguise
from nightdesk_capture.rules.redaction_rules import Rules
from nightdesk_capture.rules.sensitive import looks_secret, name_strength
from nightdesk_capture.rules.tokens import EMAIL_DOMAIN, Tokens, is_token

Hit: TypeAlias = "tuple[str, str]  # kind, rule"
Made: TypeAlias = "tuple[str, str] | None"  # what stands there now, the rule; None: leave it
Maker: TypeAlias = "Callable[[re.Match[str], Tokens, bool], Made]"

_PLACEHOLDERS = frozenset(
    [
        "none",
        "null",
        "nil",
        "true",
        "false",
        "undefined",
        "nan",
        "[filtered]",
        "[redacted]",
        "[removed]",
        "<redacted>",
        "<hidden>",
        "…",
        "...",
        "%s",
        "{}",
        "''",
    ]
)
_SCHEME = re.compile(r"(?i)^(?P<scheme>bearer|basic|token|digest|apikey)\s+(?P<value>\S.*)$", re.DOTALL)
QUOTED = re.compile(r"""^(?P<open>[bBuUrR]{0,2}\\*["'])(?P<value>.*?)(?P<end>\\*["']?)$""", re.DOTALL)


def secret_token(value: str, tokens: Tokens) -> str | None:
    """The token for a secret value, its scheme kept; None where there is nothing to take out."""
    bare = value.strip()
    if not bare or bare.lower() in _PLACEHOLDERS or is_token(bare) or not bare.strip("*xX•#. "):
        return None
    if bare.startswith("<") and bare.endswith(">"):
        return None
    if scheme := _SCHEME.match(bare):
        return None if is_token(scheme["value"]) else f"{scheme['scheme']} {tokens.secret(scheme['value'])}"
    return tokens.secret(bare)


def cookie_pairs(header: str, tokens: Tokens, hits: list[Hit]) -> str:
    parts = []
    for part in header.split(";"):
        name, equals, value = part.partition("=")
        token = secret_token(value if equals else name, tokens)
        if token is not None and name.strip().lower() not in (
            "path",
            "domain",
            "expires",
            "max-age",
            "samesite",
        ):
            hits.append(("secret", "cookie"))
            part = f"{name}={token}" if equals else token if not _is_flag(name) else part
        parts.append(part)
    return ";".join(parts)


def _is_flag(name: str) -> bool:
    return name.strip().lower() in ("secure", "httponly", "partitioned")


class Detector:
    """One pattern with its triggers (lower-case substrings, or a pattern)."""

    def __init__(
        self,
        pattern: re.Pattern[str],
        make: Maker,
        triggers: tuple[str, ...] = (),
        trigger: re.Pattern[str] | None = None,
    ) -> None:
        self._pattern, self._make, self.triggers, self.trigger = pattern, make, triggers, trigger

    def replace(self, text: str, tokens: Tokens, hits: list[Hit], source: bool) -> str:
        """The text with everything replaced that the pattern finds and the maker agrees to; hits are
        noted."""

        def substitute(match: re.Match[str]) -> str:
            made = self._make(match, tokens, source)
            if made is None or made[0] == match[0] or tokens.allows(match[0]):
                return match[0]
            hits.append(("secret" if made[1] in _SECRET_RULES else made[1], f"shape:{made[1]}"))
            return made[0]

        return self._pattern.sub(substitute, text)


_SECRET_RULES = frozenset({"provider_key", "jwt", "bearer", "url_password", "url_key", "cookie"})


def _whole(rule: str) -> Maker:
    def make(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
        return None if is_token(match[0]) else (tokens.secret(match[0]), rule)

    return make


def _after(rule: str) -> Maker:
    def make(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
        value = match["value"]
        if is_token(value.strip()) or not value.strip("\\n\r "):
            return None
        return match[0][: match.start("value") - match.start()] + tokens.secret(value), rule

    return make


def _bearer(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
    value = match["value"]
    if is_token(value) or not (any(character.isdigit() for character in value) or len(value) > 40):
        return None
    return f"{match['scheme']}{match['gap']}{tokens.secret(value)}", "bearer"


def _email(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
    if match["domain"].lower().endswith(EMAIL_DOMAIN) or is_token(match["local"]):
        return None
    return tokens.email(match["local"], match["at"], match["domain"]), "email"


def _card(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
    return (tokens.card(match[0]), "card") if sensitive.is_card(match[0]) else None


def _ssn(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
    return tokens.ssn(match[0]), "ssn"


def _phone(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
    return (tokens.phone(match[0]), "phone") if sensitive.is_phone(match[0]) else None


def _iban(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
    return (tokens.iban(match[0]), "iban") if sensitive.is_iban(match[0]) else None


def _cookie(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
    replaced = cookie_pairs(match["value"], tokens, [])
    return (
        None if source or "=" not in match["value"] else (match["name"] + match["sep"] + replaced, "cookie")
    )


class PairDetector(Detector):
    """`name=value`, `name: value`, `"name": "value"` in a text, a repr, a query string or a source line."""

    def replace(self, text: str, tokens: Tokens, hits: list[Hit], source: bool) -> str:
        """Where a pair is left as it is, reading goes on inside its value: `url=https://…?token=…`."""
        kept, at = [], 0
        while match := sensitive.PAIR.search(text, at):
            start = match.start("value")
            token = _pair_token(match, tokens, source)
            kept.append(text[at:start])
            if token is not None:
                hits.append(("secret", "shape:pair"))
                kept.append(token)
                start = match.end()
            at = start
        return "".join([*kept, text[at:]]) if kept else text


def _pair_token(match: re.Match[str], tokens: Tokens, source: bool) -> str | None:
    """What to put in the place of a pair's value; None to leave it."""
    strength = name_strength(match["name"])
    if not strength:
        return None
    outer = QUOTED.match(match["value"])
    inner = outer["value"] if outer else match["value"]
    if outer is None and (source or inner[0] in "<{[(%$" or not _reads_like_value(match, inner)):
        return None
    if (strength == 1 or source) and not looks_secret(inner):
        return None
    token = None if tokens.allows(inner) else secret_token(inner, tokens)
    if token is None:
        return None
    return f"{outer['open']}{token}{outer['end']}" if outer else token


def _reads_like_value(match: re.Match[str], value: str) -> bool:
    """In prose ("password: must be longer") a plain word after a colon is no value; after `=` everything
    is."""
    if "=" in match["sep"] or _SCHEME.match(value):
        return True
    return any(not character.isalpha() for character in value.rstrip(".,:!?-"))


PLAIN = [
    Detector(sensitive.PRIVATE_KEY, _after("private_key"), ("private key",)),
    Detector(sensitive.URL_PASSWORD, _after("url_password"), ("://",)),
    Detector(sensitive.URL_KEY, _after("url_key"), ("://",)),
    Detector(sensitive.COOKIE_HEADER, _cookie, ("cookie:", "cookie :")),
    PairDetector(sensitive.PAIR, _whole("pair"), sensitive.NAME_TRIGGERS),
    Detector(sensitive.JWT, _whole("jwt"), ("eyj",)),
    Detector(sensitive.BEARER, _bearer, ("bearer", "basic")),
    Detector(sensitive.PROVIDER_KEY, _whole("provider_key"), sensitive.PROVIDER_TRIGGERS),
    Detector(sensitive.ACCOUNT_KEY, _whole("provider_key"), trigger=re.compile(r"[AS][CK][0-9a-f]{32}")),
    Detector(sensitive.EMAIL, _email, ("@", "%40")),
    Detector(sensitive.IBAN, _iban, trigger=re.compile(r"[A-Z]{2}\d{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4}")),
    Detector(sensitive.CARD, _card, trigger=sensitive.DIGITS),
    Detector(sensitive.SSN, _ssn, trigger=sensitive.DIGITS),
    Detector(sensitive.PHONE, _phone, trigger=sensitive.DIGITS),
]


Reader: TypeAlias = "Callable[[str, Callable[[str], str]], str]"


class DisguiseDetector(Detector):
    """Whatever another detector finds in what a text says in another alphabet or encoding; `read` opens it."""

    def __init__(self, read: Reader, trigger: re.Pattern[str]) -> None:
        super().__init__(trigger, _whole("disguise"), trigger=trigger)
        self._read = read

    def replace(self, text: str, tokens: Tokens, hits: list[Hit], source: bool) -> str:
        """The text with the part in plain that gave something away."""

        def clean(plain: str) -> str:
            for detector in wanted([plain], PLAIN).get(plain, ()):
                plain = detector.replace(plain, tokens, hits, source)
            return plain

        return self._read(text, clean)


DETECTORS = [
    *PLAIN,
    DisguiseDetector(without_disguise, HINT),
    DisguiseDetector(inside_base64, BASE64_HINT),
]


def _address(match: re.Match[str], tokens: Tokens, source: bool) -> Made:
    return (tokens.address(match[0]), "ip") if sensitive.is_address(match[0]) else None


def detectors(rules: Rules) -> list[Detector]:
    """The detectors that hold under a team's rules: all of ours, network addresses and a dictionary if asked."""
    found = list(DETECTORS)
    if rules.addresses:
        found.append(Detector(sensitive.ADDRESS, _address, trigger=sensitive.ADDRESS))
    if (phrases := rules.phrases) is not None:
        found.append(Detector(phrases, _whole("dictionary"), trigger=phrases))
    return found


_ASCII_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(65, 91)})
_BETWEEN = "\x1e"


def wanted(texts: Iterable[str], every: Sequence[Detector] = DETECTORS) -> dict[str, list[Detector]]:
    """Which detectors have a trigger in which text; texts that none wants are left out."""
    unique = list(dict.fromkeys(texts))
    joined = _BETWEEN.join(unique)
    lowered = joined.lower() if joined.isascii() else joined.translate(_ASCII_LOWER)
    starts = [0, *accumulate(len(text) + 1 for text in unique)]
    found: dict[str, list[Detector]] = {}
    seen: dict[object, set[int]] = {}  # several detectors share one trigger
    for detector in every:
        trigger = detector.trigger or detector.triggers
        if trigger not in seen:
            seen[trigger] = _places(detector, joined, lowered, starts)
        for place in sorted(seen[trigger]):
            found.setdefault(unique[place], []).append(detector)
    return found


def _places(detector: Detector, joined: str, lowered: str, starts: list[int]) -> set[int]:
    """Numbers of the texts that one of the detector's triggers is in."""
    if detector.trigger is not None:
        return {bisect_right(starts, match.start()) - 1 for match in detector.trigger.finditer(joined)}
    places: set[int] = set()
    for trigger in detector.triggers:
        at = lowered.find(trigger)
        while at >= 0:
            place = bisect_right(starts, at) - 1
            places.add(place)
            at = lowered.find(trigger, starts[place + 1])
    return places
