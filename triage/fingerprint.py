"""Grouping. Mechanism v1: exception type and the in-app chain of module:function; a message only where
there is no stack.

Neither line numbers nor the source line are key: an edit to the file, or to the line itself, must not split
a group.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from store.event import Event, ExceptionValue, Frame
from store.incident import Fingerprint

MECHANISM = "v1"
CHAIN_LIMIT = 30  # innermost in-app calls that are key
_DEFAULT = re.compile(r"^\{\{\s*default\s*\}\}$")
_TEMPLATE = re.compile(
    r"(?P<quoted>\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`)"
    r"|(?P<url>\b[a-z][a-z0-9+.-]*://\S+)"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)"
    r"|(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<path>(?<![\w.])(?:/[\w.@~+-]+){2,}/?)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)"
    r"|(?P<hex>\b0x[0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{6,}\b)"
    r"|(?P<id>\b(?=\w*\d)(?=\w*[A-Za-z_])\w{6,}\b)"
    r"|(?P<number>(?<![A-Za-z_])[+-]?\d+(?:[.,:]\d+)*)"
)
_MODULE_TAIL = re.compile(r"(\.py[co]?)$")
_GENERATED = re.compile(r"0x[0-9a-fA-F]+|\b\d{3,}\b")


def fingerprint(event: Event) -> Fingerprint:
    """Why this event is one with others. A fingerprint that the client sent wins; `{{ default }}` in it is
    ours."""
    if event.client_fingerprint:
        parts: list[str] = []
        for part in event.client_fingerprint:
            parts.extend(_own(event) if _DEFAULT.match(part) else [f"client: {part}"])
        return _made(parts)
    return _made(_own(event))


def template(text: str) -> str:
    """A message without what changes from one occurrence to the next: numbers, ids, quoted text, paths,
    addresses."""
    first = text.strip().split("\n", 1)[0][:500]
    return _TEMPLATE.sub(lambda match: f"<{match.lastgroup}>", first)


def collapsed(calls: Sequence[str]) -> list[str]:
    """A chain of calls with each run of a repeated call, or of a repeated group of up to four calls, kept
    once."""
    kept = list(calls)
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


def _own(event: Event) -> list[str]:
    raised = event.exception
    if raised is None or (not raised.type and not raised.frames):
        return _of_message(event)
    parts = [f"type: {raised.type}" if raised.type else f"message: {_message_template(event)}"]
    root = event.exceptions[0]
    if len(event.exceptions) > 1 and root.type != raised.type:
        parts.append(f"root cause: {root.type}")
    chain = _calls(raised)
    if len(event.exceptions) > 1 and root.frames:
        chain = collapsed([*chain, *(call for call in _calls(root) if call not in chain)])
    if chain:
        return parts + [f"call: {call}" for call in chain[-CHAIN_LIMIT:]]
    return [*parts, f"message: {template(raised.value)}"]


def _of_message(event: Event) -> list[str]:
    logger = [f"logger: {event.logger}"] if event.logger else []
    return [*logger, f"message: {_message_template(event)}"]


def _message_template(event: Event) -> str:
    entry = event.contexts.get("logentry")
    sent = entry.get("template") if isinstance(entry, dict) else None
    if isinstance(sent, str) and "%" in sent:
        return sent[:500]
    return template(event.message or (event.exception.value if event.exception else "") or "")


def _calls(raised: ExceptionValue) -> list[str]:
    """The chain of in-app calls; where none is in-app, the three innermost calls."""
    frames = [frame for frame in raised.frames if frame.function and not frame.function.startswith("[")]
    own = [frame for frame in frames if frame.in_app]
    return collapsed([_call(frame) for frame in own or frames[-3:]])


def _call(frame: Frame) -> str:
    return _GENERATED.sub("<n>", f"{module_of(frame)}:{frame.function}")


def _made(parts: Sequence[str]) -> Fingerprint:
    key = hashlib.sha256("\0".join((MECHANISM, *parts)).encode("utf-8", "replace")).hexdigest()[:32]
    return Fingerprint(key=key, mechanism=MECHANISM, parts=tuple(parts))
