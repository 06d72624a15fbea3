"""Request bodies: read within a bound, inflate within a bound. A bomb is refused while it inflates."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from anyio import move_on_after
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from store.errors import BadPayload, OverLimit

_STEP = 64 << 10  # bytes of compressed input, and of output, at a time


class Incoming:
    """The body of one request, as it arrives."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True

    async def read(self, limit: int) -> bytes:
        """The whole body as sent. Raises OverLimit once it is more than `limit` bytes, ClientDisconnect."""
        kept = bytearray()
        while self._more:
            kept += await self._next()
            if len(kept) > limit:
                raise OverLimit(f"The body is larger than {limit} bytes; send less, or raise max_body.")
        return bytes(kept)

    async def drain(self, limit: int) -> None:
        """Read on to the end of a request that is refused, up to `limit` bytes and five seconds.

        A server that closes while the sender still writes resets the connection: its answer is never read."""
        with move_on_after(5):
            while self._more and limit > 0:
                limit -= len(await self._next()) or 1

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._more = False
            raise ClientDisconnect
        self._more = message.get("more_body", False)
        return bytes(message.get("body", b""))


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding.

    Raises BadPayload for an encoding that is not known here or a body that is not in it, OverLimit as soon as
    more than `limit` bytes have come out.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in DECODERS:
        known = ", ".join([*DECODERS, "identity"])
        raise BadPayload(f"Content-Encoding {encoding[:40]!r} is not supported here; send one of {known}.")
    out = bytearray()
    for piece in DECODERS[name](body):
        out += piece
        if len(out) > limit:
            raise OverLimit(
                f"The body is larger than {limit} bytes once inflated; send less, or raise max_inflated."
            )
    return bytes(out)


def _zlib(body: bytes, name: str, wbits: int) -> Iterator[bytes]:
    """Bounded pieces of a zlib, raw deflate or gzip stream; a gzip body may have several members."""
    left = body
    while left:
        stream = zlib.decompressobj(wbits=wbits)
        while not stream.eof:
            try:
                piece = stream.decompress(left, _STEP)
            except zlib.error as error:
                raise BadPayload(f"The body is not valid {name}.") from error
            left = stream.unconsumed_tail
            yield piece
            if not piece and not left and not stream.eof:
                raise BadPayload(f"The {name} body ends too early.")
        left = stream.unused_data if name == "gzip" else b""


def _gzip(body: bytes) -> Iterator[bytes]:
    return _zlib(body, "gzip", 31)


def _deflate(body: bytes) -> Iterator[bytes]:
    """Senders mean either zlib or a raw stream by "deflate"; the first two bytes of zlib are recognisable."""
    has_header = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _zlib(body, "deflate", 15 if has_header else -15)


def _brotli(body: bytes) -> Iterator[bytes]:
    library: Any = import_module("brotli")
    stream = library.Decompressor()
    pieces = [body[start : start + _STEP] for start in range(0, len(body), _STEP)]
    try:
        for piece in pieces:
            yield stream.process(piece, output_buffer_limit=_STEP)
            while not stream.can_accept_more_data():
                yield stream.process(b"", output_buffer_limit=_STEP)
        while not stream.is_finished() and (rest := stream.process(b"", output_buffer_limit=_STEP)):
            yield rest  # it has taken all of the body, and holds more than one step of what was in it
    except library.error as error:
        raise BadPayload("The body is not valid br.") from error
    if not stream.is_finished():
        raise BadPayload("The br body ends too early.")


def _zstd(body: bytes) -> Iterator[bytes]:
    library: Any = import_module("zstandard")
    reader = library.ZstdDecompressor(max_window_size=8 << 20).stream_reader(body)
    try:
        while piece := reader.read(_STEP):
            yield piece
    except library.ZstdError as error:
        raise BadPayload("The body is not valid zstd.") from error


def _decoders() -> dict[str, Callable[[bytes], Iterator[bytes]]]:
    """The encodings that can be read here: two always, two where their library is installed."""
    found: dict[str, Callable[[bytes], Iterator[bytes]]] = {"gzip": _gzip, "deflate": _deflate}
    if find_spec("brotli"):
        found["br"] = _brotli
    if find_spec("zstandard"):
        found["zstd"] = _zstd
    return found


DECODERS = _decoders()
