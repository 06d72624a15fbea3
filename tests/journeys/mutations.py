"""Captured requests, spoiled in every way that a wire, a proxy or somebody hostile can spoil them."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import brotli
import zstandard

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
SENDERS = {
    "0077-item.json": "/api/1/item/", "0078-item.json": "/api/1/item/", "0079-notify.json": "/notify", "0080-notices.json": "/v1/notices",
    "0073-traces.otlp.json": "/v1/traces", "0074-logs.otlp.json": "/v1/logs", "0073-traces.pb": "/v1/traces", "0074-logs.pb": "/v1/logs",
    "0081-store.bin": "/api/1/store/", "0082-store.bin": "/api/1/store/",
}  # fmt: skip
HOSTILE = (
    "null", "[]", "{}", '""', "1e400", "-1e400", "1" * 400, "-0", "NaN", "true", '"\\u0000"', '"\\ud800"', '"' + "A" * 70_000 + '"',
    "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000, '"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59+14:00"', "253402300800000",
    '[["a","b"],["c"]]', '{"":{"":""}}',
)  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """One request as it goes over the wire."""

    path: str
    body: bytes
    headers: dict[str, str]


def captures() -> list[Sent]:
    """Every captured request of the corpus."""
    found = [
        Sent("/api/1/envelope/", path.read_bytes(), {})
        for path in sorted((CORPUS / "wire").glob("*.envelope"))
    ]
    for name, path in SENDERS.items():
        kind = "application/x-protobuf" if name.endswith(".pb") else "application/json"
        found.append(Sent(path, (CORPUS / "senders" / name).read_bytes(), {"content-type": kind}))
    for path in sorted((CORPUS / "traces").glob("*.txt")):
        found.append(Sent("/ingest/1", path.read_bytes(), {"content-type": "text/plain"}))
    return [each for each in found if len(each.body) < 200_000]


def spoiled(seed: int) -> Iterator[Sent]:
    """Mutations without end, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - the same requests in each run
    every = captures()
    while True:
        sent = chance.choice(every)
        body = sent.body
        for _ in range(chance.randint(1, 3)):
            body = chance.choice((_bytes, _cut, _value, _lengths, _doubled, _nul))(body, chance)
        yield _packed(Sent(sent.path, body, dict(sent.headers)), chance)


def _bytes(body: bytes, chance: random.Random) -> bytes:
    changed = bytearray(body or b" ")
    for _ in range(chance.randint(1, 12)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _cut(body: bytes, chance: random.Random) -> bytes:
    start, end = sorted((chance.randint(0, len(body)), chance.randint(0, len(body))))
    return body[:start] + body[end:] if chance.random() < 0.5 else body[:end]


def _value(body: bytes, chance: random.Random) -> bytes:
    """Something hostile in the place of one JSON value."""
    places = [at for at in range(len(body) - 1) if body[at : at + 1] == b":"]
    if not places:
        return body
    at = chance.choice(places) + 1
    end = next((n for n in range(at, len(body)) if body[n : n + 1] in b",}]\n"), len(body))
    return body[:at] + chance.choice(HOSTILE).encode() + body[end:]


def _lengths(body: bytes, chance: random.Random) -> bytes:
    """Wrong lengths in the headers of an envelope's items."""
    lines = body.split(b"\n")
    for number, line in enumerate(lines):
        try:
            header = json.loads(line) if line.startswith(b"{") and len(line) < 500 else None
        except (ValueError, RecursionError):
            continue
        if isinstance(header, dict) and "type" in header:
            header["length"] = chance.choice([-1, 0, 1, 10**12, "x", None, 1.5, len(lines[-1]) + 1])
            lines[number] = json.dumps(header).encode()
    return b"\n".join(lines)


def _doubled(body: bytes, chance: random.Random) -> bytes:
    return body * chance.randint(2, 4)


def _nul(body: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(body))
    return (
        body[:at]
        + chance.choice([b"\x00" * 20, b"\xff\xfe\xfd", b"\xed\xa0\x80", b"\\u0000", b"\\ud800"])
        + body[at:]
    )


def _packed(sent: Sent, chance: random.Random) -> Sent:
    """Sometimes compressed, sometimes said to be compressed and not, sometimes cut in the middle of it."""
    packers = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": brotli.compress,
        "zstd": zstandard.compress,
    }
    if chance.random() < 0.6:
        return sent
    encoding = chance.choice([*packers, "identity", "gzip, br", "nonsense"])
    body = packers[encoding](sent.body) if encoding in packers and chance.random() < 0.8 else sent.body
    if chance.random() < 0.3:
        body = _cut(body, chance)
    return Sent(sent.path, body, {**sent.headers, "content-encoding": encoding})


def bombs() -> dict[str, Sent]:
    """A little on the wire, 120 MB once inflated."""
    size = 120 << 20
    gz = zlib.compressobj(9, wbits=31)
    packed = {
        "gzip": b"".join(gz.compress(bytes(1 << 20)) for _ in range(size >> 20)) + gz.flush(),
        "br": brotli.compress(bytes(size), quality=1),
        "zstd": zstandard.compress(bytes(size)),
    }
    return {name: Sent("/api/1/envelope/", body, {"content-encoding": name}) for name, body in packed.items()}
