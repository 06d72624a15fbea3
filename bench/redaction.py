"""Measure redaction: recall over planted values, false alarms over look-alikes, CPU for each event.

    python bench/redaction.py [EVENTS…] [--rounds 20]     (EVENTS: captured envelopes; default: the test corpus)

Values are made at random (fixed seed) in the documented shape of each kind and put into every kind of place that an
event has. Recall: no part of the value is left. Look-alikes are what helps to find a bug; one that is changed is a
false alarm. Exits with 1 where recall of any kind is below 0.95 or more than 2 % of the look-alikes are changed.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from store.event import Breadcrumb, Event, ExceptionValue, Frame, Request  # noqa: E402
from triage.fingerprint import fingerprint  # noqa: E402
from triage.formats.sentry import receive  # noqa: E402
from triage.redact import Redactor  # noqa: E402
from triage.sensitive import passes_luhn  # noqa: E402

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LOWER, DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
MIXED = LOWER + LOWER.upper() + DIGITS


class Chance:
    """Random values from a fixed seed."""

    def __init__(self, seed: int = 11) -> None:
        self.random = random.Random(seed)  # noqa: S311 - the same corpus in each run

    def word(self, alphabet: str, count: int) -> str:
        return "".join(self.random.choice(alphabet) for _ in range(count))

    def secret(self) -> str:
        return self.word(LOWER, 5) + self.word(DIGITS, 3) + self.word(MIXED, 4)

    def card(self) -> str:
        start = self.random.choice(["4", "51", "55", "34", "37", "6011"])
        body = start + self.word(DIGITS, (15 if start in ("34", "37") else 16) - len(start) - 1)
        digits = body + next(each for each in DIGITS if passes_luhn(body + each))
        if len(digits) == 16 and self.random.random() < 0.5:
            return self.random.choice(" -").join(digits[at : at + 4] for at in range(0, 16, 4))
        return digits

    def iban(self) -> str:
        body = self.word(DIGITS, 18)
        check = 98 - int(body + "131400") % 97
        return f"DE{check:02d}{body}"

    def jwt(self) -> str:
        def part(value: object) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

        return f"{part({'alg': 'HS256'})}.{part({'sub': self.word(DIGITS, 6)})}.{self.word(MIXED, 43)}"


def values(chance: Chance) -> dict[str, Callable[[], str]]:
    """Kind of value: how one is made."""
    provider = [
        lambda: "AK" + "IA" + chance.word(LOWER.upper() + DIGITS, 16),
        lambda: "gh" + "p_" + chance.word(MIXED, 36),
        lambda: "sk_" + "live_" + chance.word(MIXED, 24),
        lambda: "xo" + "xb-" + chance.word(DIGITS, 12) + "-" + chance.word(MIXED, 24),
        lambda: "AI" + "za" + chance.word(MIXED, 35),
        lambda: "glpat" + "-" + chance.word(MIXED, 20),
        lambda: "SG." + chance.word(MIXED, 22) + "." + chance.word(MIXED, 43),
        lambda: "np" + "m_" + chance.word(MIXED, 36),
        lambda: "sk-" + "ant-" + chance.word(MIXED, 40),
    ]
    pick = chance.random.choice
    return {
        "e-mail": lambda: f"{chance.word(LOWER, 6)}.{chance.word(LOWER, 5)}@{chance.word(LOWER, 7)}.example.com",
        "card": chance.card,
        "phone": lambda: pick([f"+49 170 {chance.word('123456789', 7)}", f"(415) 555-{chance.word('123456789', 4)}",
                               f"+1 212 555 {chance.word('123456789', 4)}", f"+44 20 {chance.word('123456789', 4)} {chance.word('123456789', 4)}"]),
        "ssn": lambda: f"{pick(['123', '457', '219'])}-{chance.word('123456789', 2)}-{chance.word('123456789', 4)}",
        "iban": chance.iban,
        "provider key": lambda: pick(provider)(),
        "jwt": chance.jwt,
        "url password": lambda: f"postgresql://app:{chance.secret()}@db.internal:5432/shop",
        "bearer": lambda: f"Bearer {chance.word(MIXED, 32)}",
        "private key": lambda: "-----BEGIN " + f"PRIVATE KEY-----\n{chance.word(MIXED, 64)}\n{chance.word(MIXED, 64)}\n-----END " + "PRIVATE KEY-----",
    }  # fmt: skip


NAMES = (
    "password", "db_password", "apiKey", "client_secret", "Authorization", "sessionid", "auth_token", "csrfmiddlewaretoken",
    "privateKey", "X-Api-Key", "refresh_token", "passwd", "cvv", "aws_secret_access_key",
)  # fmt: skip
DISGUISES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "percent": lambda text: "".join(
        f"%{ord(each):02X}" if not each.isalnum() and each.isascii() else each for each in text
    ),
    "full width": lambda text: "".join(
        chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text
    ),
    "base64": lambda text: base64.b64encode(f'{{"note": "x", "value": "{text}"}}'.encode()).decode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"value": text})),
}


def everywhere(text: str) -> Event:
    """An event with the text in every place where an application can put text."""
    frame = Frame(
        function="f",
        filename="/app/a.py",
        lineno=1,
        in_app=True,
        vars={"a": repr(text), "b": {"c": [text]}, "q": f"<X {text}>"},
    )
    return Event(
        event_id="e", project="p", received_at=NOW, timestamp=NOW, message=f"failed for {text} twice",
        exceptions=(ExceptionValue(type="E", value=f"cannot use {text}", frames=(frame,)),),
        request=Request(url=f"https://x/?q={text}&n=1", query_string=f"q={text}", headers={"X-Note": text}, data={"list": [{"deep": text}]}),
        breadcrumbs=(Breadcrumb(message=f"sent {text}", data={"d": text}),),
        tags={"t": text}, contexts={"trace": {"description": f"GET {text}"}}, extra={"logs": [f"line with {text}"]},
    )  # fmt: skip


def left_of(value: str, clean: Event, *, whole: bool = False) -> bool:
    """Whether a value is still anywhere; without `whole`, whether the telling part of it is."""
    if whole:
        return json.dumps(value, ensure_ascii=False)[1:-1] in clean.model_dump_json(exclude={"redactions"})
    told = value
    if "://" in value:
        told = value.split(":")[2].partition("@")[0]
    elif value.startswith("Bearer "):
        told = value.removeprefix("Bearer ")
    elif "PRIVATE KEY" in value:
        told = value.split("\n")[1]
    text = clean.model_dump_json(exclude={"redactions"})
    return told in text or DISGUISES["full width"](told) in text or told[: len(told) // 2 + 1] in text


def recall(redactor: Redactor, chance: Chance, count: int) -> dict[str, tuple[int, int]]:
    """Kind: (values wholly gone, values planted)."""
    found: dict[str, tuple[int, int]] = {}
    for kind, make in values(chance).items():
        for name, disguise in DISGUISES.items():
            if name == "full width" and kind in (
                "provider key",
                "jwt",
                "private key",
                "bearer",
                "url password",
            ):
                continue  # nobody can use a key in full-width letters
            gone = 0
            for _ in range(count):
                value = make()
                clean = redactor.redact(everywhere(disguise(value)))
                gone += not left_of(value, clean) and not left_of(disguise(value), clean, whole=True)
            found[f"{kind} ({name})" if name != "plain" else kind] = (gone, count)
    gone = total = 0
    for name in NAMES:
        for _ in range(count // 4):
            secret = chance.secret()
            shapes = [{"extra": {"a": {"b": [{name: secret}]}}}, {"message": f"called with {name}={secret} now"},
                      {"message": repr({name: secret, "n": 1})}, {"request": Request(data={name: secret})},
                      {"request": Request(query_string=f"{name}={secret}")}, {"request": Request(headers={name: secret})}]  # fmt: skip
            for shape in shapes:
                event = Event(event_id="e", project="p", received_at=NOW, timestamp=NOW, **shape)
                gone += secret not in redactor.redact(event).model_dump_json(exclude={"redactions"})
                total += 1
    found["secret by name"] = (gone, total)
    return found


def look_alikes(chance: Chance) -> list[str]:
    """Texts with nothing in them that has to go."""
    pick, word = chance.random.choice, chance.word
    hexadecimal = DIGITS + "abcdef"
    return [
        f"order {word(DIGITS, 13)} not found",
        f"commit {word(hexadecimal, 40)}",
        f"{word(hexadecimal, 8)}-{word(hexadecimal, 4)}-4{word(hexadecimal, 3)}-a{word(hexadecimal, 3)}-{word(hexadecimal, 12)}",
        f"2026-11-{pick(range(10, 28))}T10:{pick(range(10, 59))}:00.{word(DIGITS, 6)}+00:00 ts={pick(range(1763600000, 1763699999))}{word(DIGITS, 3)}",
        f"version {pick(range(9))}.{pick(range(40))}.{pick(range(99))} at 10.{pick(range(255))}.3.{pick(range(255))}:8443",
        f"KeyError: 'token_{word(LOWER, 4)}' in session store",
        f"<function {word(LOWER, 7)} at 0x7f{word(hexadecimal, 10)}>",
        f"max_tokens={pick(range(9999))}, token_type=bearer, password_field_name='{word(LOWER, 5)}'",
        f"SELECT id, password_hash FROM users WHERE id = {word(DIGITS, 6)}",
        f"/srv/{word(LOWER, 6)}/releases/{word(DIGITS, 14)}/app/{word(LOWER, 8)}.py",
        f"GET /api/v2/orders/{word(DIGITS, 9)}?page={pick(range(40))}&sort=created_at",
        f"price {pick(range(9999))}.{word(DIGITS, 2)} EUR x {word(DIGITS, 2)}, sum {word(DIGITS, 5)}.{word(DIGITS, 2)}",
        f"git@github.com:acme/{word(LOWER, 6)}"[3:],
        f"isbn 978-3-16-{word(DIGITS, 6)}-0 ean {word(DIGITS, 13)}",
        f"expected str, got {word(LOWER, 5)}; retry in {pick(range(90))}s (attempt {pick(range(9))})",
        f"Größe {word(DIGITS, 3)} für {word('äöüß', 4)}: naïve — ok",
    ]


def false_alarms(redactor: Redactor, chance: Chance, count: int) -> tuple[int, int, list[str]]:
    """(texts changed, texts, some of them)."""
    texts = [text for _ in range(count) for text in look_alikes(chance)]
    changed = [text for text in texts if redactor.text(text) != text]
    return len(changed), len(texts), changed[:10]


def cost(redactor: Redactor, paths: list[Path], rounds: int) -> list[tuple[str, int, dict[str, float]]]:
    """(file, bytes, CPU milliseconds for each event of each step)."""
    rows = []
    for path in paths:
        body = path.read_bytes()
        events = receive(body, project="p", received_at=NOW).events
        if not events:
            continue

        def timed(work: Callable[[], object], times: int) -> float:
            start = time.process_time()
            for _ in range(rounds):
                work()
            return (time.process_time() - start) / rounds / times * 1000

        clean = [redactor.redact(event) for event in events]
        steps = {
            "parse": timed(lambda body=body: receive(body, project="p", received_at=NOW), len(events)),
            "redact": timed(
                lambda events=events: [Redactor(b"bench").redact(event) for event in events], len(events)
            ),
            "again": timed(lambda events=events: [redactor.redact(event) for event in events], len(events)),
            "group": timed(lambda clean=clean: [fingerprint(event) for event in clean], len(events)),
        }
        rows.append((path.name, len(body), steps))
    return rows


def main() -> int:
    """Print the tables; the exit code says whether the bounds hold."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("events", nargs="*", type=Path)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--count", type=int, default=40)
    given = options.parse_args()
    redactor = Redactor(b"bench")
    found = recall(redactor, Chance(), given.count)
    for kind, (gone, total) in found.items():
        print(f"{kind:32} {gone:5}/{total:<5} {gone / total:.3f}")
    changed, texts, some = false_alarms(redactor, Chance(12), given.count)
    print(f"look-alikes changed              {changed:5}/{texts:<5} {changed / texts:.4f}")
    for text in some:
        print(f"    {text}")
    paths = given.events or sorted((ROOT / "tests" / "corpus" / "wire").glob("*.envelope"))
    for name, size, steps in cost(redactor, paths, given.rounds):
        parts = "  ".join(f"{step} {spent:.2f}" for step, spent in steps.items())
        new = steps["parse"] + steps["redact"] + steps["group"]
        known = steps["parse"] + steps["again"] + steps["group"]
        print(f"{name:24} {size:7} bytes  {parts}  sum {new:.2f}, in a storm {known:.2f} ms CPU")
    missed = [kind for kind, (gone, total) in found.items() if gone / total < 0.95]
    return 1 if missed or changed / texts > 0.02 else 0


if __name__ == "__main__":
    sys.exit(main())
