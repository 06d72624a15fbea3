# Written by write_rules.py from the server's triage/disguises.py: change it there.
# ruff: noqa
"""Texts that say something in another alphabet or encoding: what they say in plain, and back.

Full-width and other compatibility characters, look-alikes of Latin letters, invisible characters, percent encoding
(also twice), backslash escapes, HTML entities, and base64. Only what is found in the plain text is put back; the rest
of the text stays as it was written.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_ENCODED = re.compile(
    r"%(?:25){0,3}(?P<percent>[2-7][0-9A-Fa-f])|\\{1,4}u00(?P<unicode>[2-7][0-9A-Fa-f])|\\{1,4}x(?P<byte>[2-7][0-9A-Fa-f])"
    r"|&#(?P<decimal>\d{2,3});|&#x(?P<hexadecimal>[2-7][0-9A-Fa-f]);|&(?P<named>commat|period|quot|amp|equals|colon);"
    r"|(?P<other>[^\x00-\x7f])"
)
_NAMED = {"commat": "@", "period": ".", "quot": '"', "amp": "&", "equals": "=", "colon": ":"}
_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/_.-])(?=[A-Za-z0-9+/_-]*[A-Z])[A-Za-z0-9+/_-]{16,8192}={0,2}(?![A-Za-z0-9+/_=.-])"
)
HINT = re.compile(  # without which there is no disguise; one set of characters at the start makes it fast
    r"[%&\\\x80-\U0010ffff](?:(?<=[\x80-\U0010ffff])|(?<=%)(?:25){0,3}[2-7][0-9A-Fa-f]|(?<=\\)(?:u00|x)"
    r"|(?<=&)(?:#|(?:commat|period|quot|amp|equals|colon);))"
)
BASE64_HINT = re.compile(r"[A-Z][A-Za-z0-9+/_-]{11}")  # text in base64 begins with a capital or soon has one
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁɡһԛԝАВЕНІЈКМОРСТХѕ" + "αονρκιΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" + "ɑıℓ․‐‑‒–＠",
    "aeopcyxijsdghqwABEHIJKMOPCTXs" + "aovpkiABEZHIKMNOPTYX" + "ail.----@",
)
CANDIDATES = 20  # runs of base64 that are opened in one text


@lru_cache(maxsize=4096)
def _plain_character(character: str) -> str:
    """What a character outside of ASCII stands for; invisible ones for nothing."""
    if unicodedata.category(character) == "Cf" or character in "\u00ad\u034f\u115f\u3164":
        return ""
    return unicodedata.normalize("NFKC", character).translate(_LOOK_ALIKES)


def plain_name(name: str) -> str:
    """A name in plain letters, however it was written."""
    return name if name.isascii() else "".join(map(_plain_character, name))


def undisguised(text: str) -> tuple[str, list[int]] | None:
    """The plain text, and where in the original each of its characters begins (with the end); None: it is plain."""
    pieces: list[str] = []
    starts: list[int] = []
    last = 0
    for match in _ENCODED.finditer(text):
        plain = _decoded(match)
        if plain == match[0]:
            continue
        pieces += (text[last : match.start()], plain)
        starts += range(last, match.start())
        starts += [match.start()] * len(plain)
        last = match.end()
    if not last:
        return None
    pieces.append(text[last:])
    starts += range(last, len(text) + 1)
    return "".join(pieces), starts


def _decoded(match: re.Match[str]) -> str:
    kind, value = match.lastgroup, match[match.lastgroup or 0]
    if kind == "other":
        return _plain_character(value)
    if kind == "named":
        return _NAMED[value]
    number = int(value, 10 if kind == "decimal" else 16)
    return chr(number) if 32 <= number < 127 else match[0]


def without_disguise(text: str, clean: Callable[[str], str]) -> str:
    """The text with what `clean` takes out of its plain form."""
    found = undisguised(text)
    if found is None:
        return text
    plain, starts = found
    cleaned = clean(plain)
    return text if cleaned == plain else _put_back(text, plain, starts, cleaned)


def inside_base64(text: str, clean: Callable[[str], str]) -> str:
    """The text with what `clean` takes out of what stands in it in base64."""
    left = CANDIDATES

    def opened(match: re.Match[str]) -> str:
        nonlocal left
        left -= 1
        return match[0] if left < 0 else _reencoded(match[0], clean)

    return _BASE64.sub(opened, text)


def _put_back(text: str, plain: str, starts: list[int], cleaned: str) -> str:
    """The original with the part that changed, from the first change to the last."""
    shorter = min(len(plain), len(cleaned))
    before = next((n for n in range(shorter) if plain[n] != cleaned[n]), shorter)
    after = next((n for n in range(shorter - before) if plain[-1 - n] != cleaned[-1 - n]), shorter - before)
    return (
        text[: starts[before]] + cleaned[before : len(cleaned) - after] + text[starts[len(plain) - after] :]
    )


def _reencoded(run: str, clean: Callable[[str], str]) -> str:
    """The run with its content cleaned, in base64 again: a reader still finds what it expects."""
    bare = run.rstrip("=")
    standard = bare.replace("-", "+").replace("_", "/")
    try:
        content = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return run
    if not all(character.isprintable() or character in "\r\n\t" for character in content):
        return run
    cleaned = clean(content)
    if cleaned == content:
        return run
    made = base64.b64encode(cleaned.encode("utf-8")).decode("ascii")
    made = made.replace("+", "-").replace("/", "_") if {"-", "_"} & set(bare) else made
    return made if run.endswith("=") or len(run) % 4 == 0 else made.rstrip("=")
