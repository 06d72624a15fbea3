"""A logged message as features: its words, the exception's name, what the code around it does."""

from __future__ import annotations

import re

from store.event import Event
from triage.fingerprint import template

_WORD = re.compile(r"[A-Za-z][A-Za-z]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SLOT = re.compile(r"%\(?\w*\)?[sdrif]|\{[^}]*\}|<[a-z]+>")
_LONGEST = 2000  # characters of a text that are read
_ENDINGS = ("ing", "ed", "es", "s")
_LEVELS = {"fatal": 1.0, "error": 0.0, "warning": -1.0, "info": -2.0, "log": -2.0, "debug": -3.0}


def level_prior(level: str) -> float:
    """What the reporter's own level adds to the margin. Set by hand: the labels that the model is trained on
    are levels, so it cannot be learnt from them."""
    return _LEVELS.get(level.lower(), 0.0)


def features(event: Event) -> dict[str, float]:
    """Words of the message, of the exception's type, of the place and of the lines around it."""
    found: dict[str, float] = {}
    message = event.message or (event.exception.value if event.exception else "")
    words = _words(template(message)) if message else []
    found.update(dict.fromkeys((f"says {word}" for word in words), 1.0))
    raised = event.exception
    if raised is not None:
        found.update(
            dict.fromkeys((f"raised {word}" for word in _parts(f"{raised.module or ''}.{raised.type}")), 1.0)
        )
        if raised.type in ("Exception", "BaseException", ""):
            found["raised anything"] = 1.0
        if raised.handled is False:
            found["raised again"] = 1.0
        for frame in raised.frames[-1:]:
            lines = " ".join((*frame.pre_context, frame.context_line or "", *frame.post_context))
            found.update(dict.fromkeys((f"code {word}" for word in set(_words(lines[:_LONGEST]))), 1.0))
            found.update(dict.fromkeys((f"in {word}" for word in _parts(frame.function or "")), 1.0))
    if _SLOT.search(message):
        found["names a value"] = 1.0
    return found


def report_features(event: Event) -> dict[str, float]:
    """A report by a person: its title and the words of its text."""
    found = {f"says {word}": 1.0 for word in _words(event.message or "")}
    body = event.contexts.get("report")
    text = str(body.get("text") or "") if isinstance(body, dict) else ""
    found.update({f"text {word}": 1.0 for word in _words(text[:_LONGEST])})
    if "Traceback" in text or "\n    at " in text:
        found["has a trace"] = 1.0
    if "```" in text:
        found["has code"] = 1.0
    if "?" in (event.message or ""):
        found["asks"] = 1.0
    return found


def _words(text: str) -> list[str]:
    return [_stem(word.lower()) for word in _WORD.findall(text.replace("n't", "nt"))][:200]


def _parts(name: str) -> list[str]:
    """`requests.exceptions.HTTPError` as its words; the last two parts only."""
    tail = ".".join(re.split(r"[.:]", name)[-2:])
    return [_stem(part.lower()) for part in _CAMEL.findall(tail) if len(part) > 1]


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
