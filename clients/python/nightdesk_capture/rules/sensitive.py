# Written by write_rules.py from the server's triage/sensitive.py: change it there.
# ruff: noqa
"""What counts as a secret or as personal: by name, by shape. No I/O, no state; `redact` walks events with
it."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, ip_address

from nightdesk_capture.rules.disguises import plain_name
from nightdesk_capture.rules.words import words

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset(
    words(
        """
    password passwd passphrase pwd secret secrets authorization credential credentials cookie
    cookies csrf xsrf csrftoken csrfmiddlewaretoken xcsrftoken apikey privatekey sessionid phpsessid
    jsessionid passcode cvv cvc otp totp bearer ssn iban mysqlpwd htpasswd accesstoken refreshtoken
    authtoken
    """
    )
)
_AMBIGUOUS_WORDS = frozenset(
    words(
        """
    token session auth sid pin jwt credentialsfile
    """
    )
)
_KEY_KINDS = frozenset(
    words(
        """
    api secret private access encryption signing account aws storage ssh license master app
    """
    )
)
_TOKEN_KINDS = frozenset(
    words(
        """
    access refresh auth api id csrf xsrf bearer session device bot secret security oauth jwt reset
    verification login user client deploy github gitlab slack personal webhook
    """
    )
)
_HARMLESS_ENDS = frozenset(
    words(
        """
    length len count min max field fields policy required validator validators type types name names
    expires expiry age ttl url uri path file help label hint valid invalid changed strength errors
    error class index limit enabled form view reset hasher hashers timeout lifetime format algorithm
    header prefix domain samesite secure httponly jar params position pos kind size
    """
    )
)

# Substrings, lower case, without which no name in a text can be a secret's. Kept in step by a test.
NAME_TRIGGERS = words(
    """
    pass pwd secret token key auth cookie credential sess csrf xsrf cvv cvc otp bearer ssn iban sid
    pin jwt
    """
)

PAIR = re.compile(
    r"""(?<![A-Za-z0-9_])(?P<name>[A-Za-z_][\w.-]{0,60})(?P<close>\\{0,8}["']?)"""
    r"""(?P<sep>\s{0,3}(?:=>|[:=])\s{0,3})(?P<value>"""
    r"""(?:Bearer|Basic|Token|Digest|bearer|basic)\s+[^\s"'\\,;]+"""
    r"""|(?P<escape>\\{1,8})(?P<mark>["'])(?:(?!(?P=escape)(?P=mark)).)*(?:(?P=escape)(?P=mark))?"""
    r"""|[bBuUrR]{0,2}"(?:[^"\\\n]|\\.|"(?=\w))*"?|[bBuUrR]{0,2}'(?:[^'\\\n]|\\.|'(?=\w))*'?"""
    r"""|[^\s"'\\&,;)}\]]+)"""
)
COOKIE_HEADER = re.compile(r"(?im)\b(?P<name>set-cookie|cookie)(?P<sep>:\s*)(?P<value>[^\r\n'\"]+)")

PROVIDER_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk_(?:live|test)_[0-9A-Za-z]{10,}|rk_(?:live|test)_[0-9A-Za-z]{10,}|whsec_[0-9A-Za-z]{16,}"
    r"|sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{20,}"
    r"|(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|gl(?:ptt|dt|rt)-[A-Za-z0-9_-]{16,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{20,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{40,}|hf_[A-Za-z0-9]{30,}"
    r"|do[opr]_v1_[a-f0-9]{40,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{24,}|EAACEdEose0cBA[0-9A-Za-z]+"
    r"|key-[0-9a-z]{32}|dapi[a-f0-9]{32}|nrk?-[A-Za-z0-9-]{30,}"
    r"|hvs\.[A-Za-z0-9_-]{20,}|eyJrIjoi[A-Za-z0-9_=-]{30,}|sntrys_[A-Za-z0-9_=+/-]{30,}|lin_api_[A-Za-z0-9]{30,}"
    r"|nd_[0-9a-f]{12}_[A-Za-z0-9_-]{43}"  # our own
    r")(?![A-Za-z0-9])"
)
ACCOUNT_KEY = re.compile(r"(?<![A-Za-z0-9])(?:AC|SK)[0-9a-f]{32}(?![A-Za-z0-9])")  # Twilio's
PROVIDER_TRIGGERS = words(
    """
    sk_ rk_ whsec_ sk- akia asia abia acca ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- glptt- gldt-
    glrt- xox xapp- aiza ya29. sg. npm_ pypi- hf_ _v1_ shp eaaced key- dapi nrk- nr- hvs.
    eyjrijoi sntrys_ lin_api_ nd_
    """
)
JWT = re.compile(r"(?<![\w-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?")
BEARER = re.compile(r"(?i)\b(?P<scheme>bearer|basic)(?P<gap>\s+)(?P<value>[A-Za-z0-9._~+/=-]{12,})")
URL_PASSWORD = re.compile(
    r"(?P<before>[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@'\"?#]{0,128}:)(?P<value>[^\s/@'\"]{1,256})(?=@)"
)
URL_KEY = re.compile(r"(?P<before>https?://)(?P<value>[A-Za-z0-9_-]{20,128})(?=@)")
PRIVATE_KEY = re.compile(
    r"(?s)(?P<before>-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----)(?P<value>.*?)"
    r"(?=-----END (?:[A-Z]+ )*PRIVATE KEY|\Z)"
)
KEY_BODY_LINE = re.compile(r"^[\s\"'A-Za-z0-9+/=\\]{40,}$")
EMAIL = re.compile(
    r"(?<![\w.%+-])(?P<local>[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63})(?P<at>@|%40)"
    r"(?P<domain>(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24})(?![\w@-])"
)
DIGITS = re.compile(r"\d[\d .-]{6}\d")
CARD = re.compile(
    r"(?<![\w.+-])(?:\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}|\d{4}[ -]\d{6}[ -]\d{5}|\d{14,16})(?![\w-]|\.\d)"
)
SSN = re.compile(r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-]|\.\d)")
PHONE = re.compile(
    r"(?<![\w)\].+-])(?:\+[1-9]\d{0,2}(?:[ .()-]{0,2}\d{1,5}){2,6}"
    r"|\([2-9]\d{2}\) ?[2-9]\d{2}-\d{4}|[2-9]\d{2}-[2-9]\d{2}-\d{4})(?![\w-]|\.\d)"
)
IBAN = re.compile(r"(?<![\w-])(?!ZZ)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![\w-])")
ADDRESS = re.compile(
    r"(?<![\w.:-])(?:(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"
    r"|(?=[0-9A-Fa-f:]*:[0-9A-Fa-f]*:)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]))"
)
_CARD_RANGES = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}"
)


@lru_cache(maxsize=8192)
def name_strength(name: str) -> int:
    """2: what this name holds is a secret. 1: it may be one, the value decides. 0: it is none."""
    words = [word.lower() for word in _WORDS.findall(plain_name(name)) if not word.isdigit()]
    if not words or words[-1] in _HARMLESS_ENDS:
        return 0
    joined = "".join(words)
    if joined in _SECRET_WORDS or not _SECRET_WORDS.isdisjoint(words):
        return 2
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if (last == "key" and before in _KEY_KINDS) or (last == "token" and before in _TOKEN_KINDS):
        return 2
    if before == "session" and last in ("id", "key", "cookie"):
        return 2
    return 1 if last in _AMBIGUOUS_WORDS else 0


def looks_secret(value: str) -> bool:
    """Whether a value under an ambiguous name reads like a credential: one long word of mixed characters."""
    if len(value) < 12 or any(mark in value for mark in " <>(){}[]"):
        return False
    digits = sum(character.isdigit() for character in value)
    letters = sum(character.isalpha() for character in value)
    return digits >= 2 and letters >= 4 and (len(value) >= 16 or not value.isalnum())


def passes_luhn(digits: str) -> bool:
    """The check digit of card numbers."""
    total = 0
    for place, character in enumerate(reversed(digits)):
        number = ord(character) - 48
        total += number if place % 2 == 0 else number * 2 - 9 * (number > 4)
    return total % 10 == 0


def is_card(text: str) -> bool:
    """Whether these digits (with blanks or dashes) are in a range that card issuers use and pass Luhn."""
    digits = "".join(character for character in text if character.isdigit())
    return _CARD_RANGES.fullmatch(digits) is not None and passes_luhn(digits)


def is_iban(text: str) -> bool:
    """Whether the check digits of an IBAN hold."""
    compact = text.replace(" ", "")
    return 15 <= len(compact) <= 34 and iban_remainder(compact) == 1


def iban_remainder(compact: str) -> int:
    """ISO 7064 mod 97 of an IBAN without blanks."""
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97


def is_address(text: str) -> bool:
    """Whether it is an IP address of some machine: not a version number, not this machine, not a token of ours."""
    try:
        found = ip_address(text)
    except ValueError:
        return False
    ours = text.startswith("2001:db8:") or (isinstance(found, IPv4Address) and int(found) >= 240 << 24)
    return not (ours or found.is_loopback or found.is_unspecified)


def is_phone(text: str) -> bool:
    """Whether the digit count is a phone number's; the pattern has already asked for its punctuation."""
    digits = "".join(character for character in text if character.isdigit())
    return 8 <= len(digits) <= 15 and not digits.startswith(("999", "000"))
