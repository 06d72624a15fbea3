# Written by write_rules.py from the server's triage/tokens.py: change it there.
# ruff: noqa
"""Stand-ins for what was taken out: the same input gives the same token, and a token keeps the shape of
what it replaces."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from nightdesk_capture.rules.redaction_rules import NO_RULES, Rules
from nightdesk_capture.rules.sensitive import iban_remainder, is_address, passes_luhn

_SECRET = re.compile(r"redacted-(?:s|m|l|xl)-[0-9a-f]{10,}|REDACTED-(?:S|M|L|XL)-[0-9A-F]{10,}")
_PERSON = re.compile(r"user-[0-9a-f]{10}")
_TOKENS = re.compile(r"(?i)\b(?P<start>redacted-(?:s|m|l|xl)-|user-)(?P<digits>[0-9a-f]{10,})\b")
EMAIL_DOMAIN = "redacted.example"
KEPT_LENGTH = 1024  # characters up to which a long secret's token is as long as the secret
_CARD_PREFIX = "999999"  # no issuer has it


def is_token(value: str) -> bool:
    """Whether a value is one of our tokens already."""
    return _SECRET.fullmatch(value) is not None or _PERSON.fullmatch(value) is not None


def is_stand_in(value: str, kind: str) -> bool:
    """Whether a value that is said to be of a kind is one of our tokens for that kind already."""
    digits = "".join(character for character in value if character.isdigit())
    return (
        is_token(value)
        or value.endswith(EMAIL_DOMAIN)
        or (kind == "ip" and not is_address(value))
        or (kind in ("card", "phone", "ssn") and digits.startswith(("999", "000")))
        or (kind == "iban" and value.startswith("ZZ"))
    )


class Tokens:
    """Makes tokens under a project's key: without it they can be neither computed nor compared."""

    def __init__(self, key: bytes, rules: Rules = NO_RULES) -> None:
        self._key = hashlib.sha256(key).digest()
        self.allows = rules.allows

    def secret(self, value: str) -> str:
        """`redacted-m-3f2a9c1b77`: the letter is the length class (up to 8, 20, 64, more). From 24 characters on it is
        exactly as long as what it replaces, and in capitals where that has no small letters."""
        size = len(value)
        length = "s" if size <= 8 else "m" if size <= 20 else "l" if size <= 64 else "xl"
        start = f"redacted-{length}-"
        wide = 24 <= size <= KEPT_LENGTH
        made = start + (
            self._wide_hex("secret", value, size - len(start)) if wide else self._hex("secret", value)
        )
        return made.upper() if value.isupper() else made

    def address(self, text: str) -> str:
        """An IP address that parses and that nobody has: 240.0.0.0/4 is reserved, 2001:db8::/32 is for documents."""
        if ":" in text:
            digits = self._wide_hex("ip", text.lower(), 16)
            return "2001:db8:" + ":".join(digits[at : at + 4] for at in range(0, 16, 4)) + "::1"
        number = int(self._wide_hex("ip", text, 7), 16)
        return f"{240 + (number >> 24)}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def person(self, value: str) -> str:
        """A stable stand-in for a user name."""
        return f"user-{self._hex('person', value)}"

    def email(self, local: str, at: str, domain: str) -> str:
        """An address that is valid and can never receive mail."""
        return f"user-{self._hex('email', f'{local}@{domain}'.lower())}{at}{EMAIL_DOMAIN}"

    def card(self, text: str) -> str:
        """As many digits, in the same groups, in a range that no issuer has; the check digit holds."""
        digits = "".join(character for character in text if character.isdigit())
        body = (_CARD_PREFIX + self._digits("card", digits, len(digits)))[: len(digits) - 1]
        check = next(number for number in "0123456789" if passes_luhn(body + number))
        return _refill(text, body + check)

    def ssn(self, text: str) -> str:
        """Area 000, which is never given out."""
        return _refill(text, "000" + self._digits("ssn", text, 6))

    def phone(self, text: str) -> str:
        """Country code 999 (or area 000 without one), the punctuation kept."""
        digits = "".join(character for character in text if character.isdigit())
        start = "999" if text.startswith("+") else "000"
        return _refill(text, (start + self._digits("phone", digits, len(digits)))[: len(digits)])

    def iban(self, text: str) -> str:
        """Country ZZ, the same length, valid check digits."""
        compact = text.replace(" ", "")
        body = self._digits("iban", compact, len(compact) - 4)
        made = f"ZZ{98 - iban_remainder(f'ZZ00{body}'):02d}{body}"
        characters = iter(made)
        return "".join(character if character == " " else next(characters) for character in text)

    def of_kind(self, value: str, kind: str) -> str:
        """The stand-in of that kind where the value has its shape; else that of a secret."""
        digits = sum(character.isdigit() for character in value)
        local, at, domain = value.rpartition("@")
        if kind == "email" and at and domain:
            return self.email(local, at, domain)
        makers: dict[str, tuple[bool, Callable[[str], str]]] = {
            "name": (True, self.person),
            "ip": (True, self.address),
            "card": (12 <= digits <= 19, self.card),
            "phone": (digits >= 6, self.phone),
            "ssn": (digits == 9, self.ssn),
            "iban": (len(value.replace(" ", "")) >= 15, self.iban),
        }
        fits, make = makers.get(kind, (False, self.secret))
        return make(value) if fits else self.secret(value)

    def renewed(self, text: str) -> str:
        """The text with tokens of our shape, made under whatever key, as tokens of this one; equal ones stay equal."""
        return _TOKENS.sub(self._again, text) if "redacted-" in text.lower() or "user-" in text else text

    def _again(self, found: re.Match[str]) -> str:
        made = found["start"].lower() + self._wide_hex("token", found[0], len(found["digits"]))
        return made.upper() if found[0].isupper() else made

    def _wide_hex(self, kind: str, value: str, count: int) -> str:
        """As many hexadecimal digits as wanted."""
        seed = self._key + f"{kind}\0{value}".encode("utf-8", "replace")
        return hashlib.shake_256(seed).hexdigest((count + 1) // 2)[:count]

    def _hex(self, kind: str, value: str) -> str:
        digest = hashlib.blake2b(f"{kind}\0{value}".encode("utf-8", "replace"), key=self._key, digest_size=5)
        return digest.hexdigest()

    def _digits(self, kind: str, value: str, count: int) -> str:
        digest = hashlib.blake2b(f"{kind}\0{value}".encode("utf-8", "replace"), key=self._key, digest_size=32)
        return str(int.from_bytes(digest.digest(), "big")).zfill(78)[-count:]


def _refill(shape: str, digits: str) -> str:
    """The punctuation of `shape` with other digits."""
    supply = iter(digits)
    return "".join(next(supply) if character.isdigit() else character for character in shape)
