"""Grouping. Mechanism v1: exception type and the in-app chain of module:function; a message only where
there is no stack.

Neither line numbers nor the source line are key: an edit to the file, or to the line itself, must not split
a group.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

from store.event import Event, ExceptionValue, Frame
from store.incident import Fingerprint

MECHANISM = "v1"
Shape: TypeAlias = Callable[[str], str]  # a message without what changes from one occurrence to the next
CHAIN_LIMIT = 30  # innermost in-app calls that are key
_DEFAULT = re.compile(r"^\{\{\s*default\s*\}\}$")
_KINDS = (
    r"(?P<quoted>\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`)"
    r"|(?P<url>\b[a-z][a-z0-9+.-]*://\S+)"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)"
    r"|(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<path>(?<![\w.])(?:/[\w.@~+-]+){2,}/?)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)"
    r"|(?P<hex>\b0x[0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{6,}\b)"
    r"|(?P<id>{id})"
    r"|(?P<number>(?<![A-Za-z_])[+-]?\d+(?:[.,:]\d+)*)"
)
_WORD = r"\b(?=\w*\d)(?=\w*[A-Za-z_])\w{6,}\b"
_NAMED = r"\b[A-Za-z]\w*_-?\d+\b"  # an id by its prefix, with a sign or short: blk_-123, req_7
_HOST = (  # by its ending: names of packages have dots as well
    r"|(?P<host>\b(?:[\w-]+\.){2,}(?:com|net|org|edu|gov|info|io|de|uk|fr|it|es|nl|be|ch|at|pl|ru|cn|jp|kr|tw|in|br"
    r"|mx|ar|au|ca|us|se|no|fi|dk|cz|ro|tr|local|localdomain|lan|internal|intranet|corp|home)\b(?![.(]\w))"
)
_ADDRESS = (  # of a network card, of a host
    r"|(?P<address>\b(?:[0-9a-fA-F]{1,2}[:-]){5}[0-9a-fA-F]{1,2}\b|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b"
    r"|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}\b)"
)
_TEMPLATE = re.compile(_KINDS.replace("{id}", _WORD))
_GROUPED = re.compile(_KINDS.replace("|(?P<id>{id})", f"{_ADDRESS}{_HOST}|(?P<id>{_WORD}|{_NAMED})"))
_MAY_DIFFER = re.compile(
    r"_-?\d|\w\.[\w-]+\.[a-z]{2}|[0-9a-fA-F]:[0-9a-fA-F:]"
)  # without it both give the same
_MODULE_TAIL = re.compile(r"(\.py[co]?)$")
_GENERATED = re.compile(r"0x[0-9a-fA-F]+|\b\d{3,}\b")


def fingerprint(event: Event) -> Fingerprint:
    """Why this event is one with others. A fingerprint that the client sent wins; `{{ default }}` in it is
    ours. Where an earlier version of the mechanism would have made another key of it, that is told beside it."""
    now = _keyed(event, grouped)
    if not _MAY_DIFFER.search(_text_of(event)[:500]):
        return now
    before = _keyed(event, template)
    return now if before.key == now.key else now.model_copy(update={"earlier": (before.key,)})


def _keyed(event: Event, shape: Shape) -> Fingerprint:
    if event.client_fingerprint:
        parts: list[str] = []
        for part in event.client_fingerprint:
            parts.extend(_own(event, shape) if _DEFAULT.match(part) else [f"client: {part}"])
        return _made(parts)
    return _made(_own(event, shape))


def template(text: str) -> str:
    """A message without what changes from one occurrence to the next: numbers, ids, quoted text, paths,
    addresses."""
    first = text.strip().split("\n", 1)[0][:500]
    return _TEMPLATE.sub(lambda match: f"<{match.lastgroup}>", first)


def grouped(text: str) -> str:
    """The template by which messages are one group: names and addresses of hosts and ids by their prefixes are
    left out, too."""
    first = text.strip().split("\n", 1)[0][:500]
    return _GROUPED.sub(lambda match: f"<{match.lastgroup}>", first)


def collapsed(calls: Sequence[str]) -> list[str]:
    """A chain of calls with each run of a repeated call, or of a repeated group of up to four calls, kept
    once."""
    kept = list(calls)
    if len(set(kept)) == len(kept):
        return kept  # nothing is there twice
    for size in range(1, 5):
        at, shorter = 0, []
        while at < len(kept):
            group = kept[at : at + size]
            if kept[at + size : at + 2 * size] != group:
                shorter.append(kept[at])
                at += 1
                continue
            shorter.extend(group)
            while kept[at : at + size] == group:
                at += size
        kept = shorter
    return kept


def module_of(frame: Frame) -> str:
    """The module of a frame; where the sender gave none, or only `__main__`, the last two parts of its
    path."""
    if frame.module and frame.module != "__main__":
        return frame.module
    path = _MODULE_TAIL.sub("", (frame.abs_path or frame.filename or "?").replace("\\", "/"))
    return ".".join(part for part in path.split("/")[-2:] if part and part != "__init__")


def _own(event: Event, shape: Shape) -> list[str]:
    raised = event.exception
    if raised is None or (not raised.type and not raised.frames):
        return _of_message(event, shape)
    parts = [f"type: {raised.type}" if raised.type else f"message: {_message_template(event, shape)}"]
    root = event.exceptions[0]
    if len(event.exceptions) > 1 and root.type != raised.type:
        parts.append(f"root cause: {root.type}")
    chain = _calls(raised)
    if len(event.exceptions) > 1 and root.frames:
        chain = collapsed([*chain, *(call for call in _calls(root) if call not in chain)])
    if chain:
        return parts + [f"call: {call}" for call in chain[-CHAIN_LIMIT:]]
    return [*parts, f"message: {shape(raised.value)}"]


def _of_message(event: Event, shape: Shape) -> list[str]:
    logger = [f"logger: {event.logger}"] if event.logger else []
    return [*logger, f"message: {_message_template(event, shape)}"]


def _text_of(event: Event) -> str:
    return event.message or (event.exception.value if event.exception else "") or ""


def _message_template(event: Event, shape: Shape) -> str:
    entry = event.contexts.get("logentry")
    sent = entry.get("template") if isinstance(entry, dict) else None
    if isinstance(sent, str) and "%" in sent:
        return sent[:500]
    return shape(_text_of(event))


def _calls(raised: ExceptionValue) -> list[str]:
    """The chain of in-app calls; where none is in-app, the three innermost calls."""
    frames = [frame for frame in raised.frames if frame.function and not frame.function.startswith("[")]
    own = [frame for frame in frames if frame.in_app]
    return collapsed([_call(frame) for frame in own or frames[-3:]])


def _call(frame: Frame) -> str:
    return _named_call(module_of(frame), frame.function)


@lru_cache(maxsize=4096)
def _named_call(module: str, function: str | None) -> str:
    return _GENERATED.sub("<n>", f"{module}:{function}")


def _made(parts: Sequence[str]) -> Fingerprint:
    key = hashlib.sha256("\0".join((MECHANISM, *parts)).encode("utf-8", "replace")).hexdigest()[:32]
    return Fingerprint(key=key, mechanism=MECHANISM, parts=tuple(parts))
