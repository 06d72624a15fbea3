"""Runbooks: what a team has written for a failure, and by which of its rules it is for this one.

A runbook is Markdown. Which failures it is for stands in a head between two lines `---`, a key and its values a line:

    ---
    exceptions: OperationalError, psycopg.*
    paths: app/db/**, /reports/*
    tags: service=billing
    cause: infrastructure
    ---

`exceptions` are names (with `*`) of types, `paths` globs of the repository or, with `/` before them, of addresses,
`tags` pairs; `services` and `environments` are names. Every key that is there has to fit, by one of its values. `cause`
says of which class the failure is. A file without a head is a runbook for the exception that its first heading names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from store.event import Event
from store.incident import CodeLocation, Kind

_KEYS = ("exceptions", "paths", "tags", "services", "environments")
_EXCEPTION = re.compile(
    r"\b(?:[A-Za-z_]\w*(?:\.|::|\\))*[A-Z]\w*(?:Error|Exception|Timeout|Warning|Exit|Interrupt)\b"
)
_STEPS = 6  # lines that are shown
_LONGEST = 200  # characters of one


@dataclass(frozen=True)
class Runbook:
    """One runbook. `rules` by key; empty: it is for nothing by itself."""

    repo: str
    path: str
    title: str
    steps: tuple[str, ...]
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cause: Kind | None = None


@dataclass(frozen=True)
class Match:
    """A runbook that is for an event, and why."""

    runbook: Runbook
    because: str


def read(repo: str, path: str, text: str) -> Runbook:
    """A runbook from its Markdown. Never raises: a head that is none is text."""
    head, body = _parted(text)
    heading = next((line.lstrip("# ").strip() for line in body if line.startswith("#")), path)
    named = tuple(_EXCEPTION.findall(heading))
    rules = {key: head[key] for key in _KEYS if head.get(key)} or ({"exceptions": named} if named else {})
    cause = head.get("cause", ("",))[0]
    steps = tuple(line.strip()[:_LONGEST] for line in body if line.strip() and not line.startswith("#"))
    return Runbook(
        repo=repo,
        path=path,
        title=heading[:_LONGEST],
        steps=steps[:_STEPS],
        rules=rules,
        cause=Kind(cause) if cause in set(Kind) else None,
    )


def matching(books: Sequence[Runbook], event: Event, place: CodeLocation | None) -> tuple[Match, ...]:
    """The runbooks that are for an event, the one with the most rules first."""
    found = [match for book in books if (match := _match(book, event, place))]
    return tuple(sorted(found, key=lambda match: (-len(match.runbook.rules), match.runbook.path)))


def covers(globs: Sequence[str], event: Event, place: CodeLocation | None) -> str | None:
    """The first of the globs that fits the place in the repository or, where it begins with `/`, the address (or the
    transaction that is called so)."""
    addresses = [_address(event.request.url)] if event.request else []
    addresses += [event.transaction] if event.transaction else []
    for glob in globs:
        texts = addresses if glob.startswith("/") else ([place.path] if place else [])
        if any(
            fnmatchcase(text, glob) or text.startswith(glob.rstrip("*").rstrip("/") + "/") for text in texts
        ):
            return glob
    return None


def _match(book: Runbook, event: Event, place: CodeLocation | None) -> Match | None:
    if not book.rules:
        return None
    reasons = [_fits(key, values, event, place) for key, values in book.rules.items()]
    told = [reason for reason in reasons if reason is not None]
    return Match(book, "; ".join(told)) if len(told) == len(reasons) else None


def _fits(key: str, values: Sequence[str], event: Event, place: CodeLocation | None) -> str | None:
    if key == "paths":
        found = covers(values, event, place)
        return f"path {found}" if found else None
    if key == "exceptions":
        names = [name for one in event.exceptions for name in _names(one.type, one.module)]
        return next((f"exception {v}" for v in values if any(fnmatchcase(name, v) for name in names)), None)
    if key == "tags":
        pairs = {f"{name}={value}" for name, value in event.tags.items()}
        return next((f"tag {v}" for v in values if any(fnmatchcase(pair, v) for pair in pairs)), None)
    value = event.service if key == "services" else event.environment
    return (
        f"{key.removesuffix('s')} {value}" if value and any(fnmatchcase(value, v) for v in values) else None
    )


def _names(kind: str, module: str | None) -> tuple[str, ...]:
    return (kind, f"{module}.{kind}") if module else (kind,)


def _address(url: str) -> str:
    return re.sub(r"^[a-z]+://[^/]+", "", url).partition("?")[0]


def _parted(text: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The head and the rest. Values stand after the key, or below it with a dash."""
    lines = text[: 1 << 16].splitlines()
    if not lines or lines[0].strip() != "---" or "---" not in [line.strip() for line in lines[1:60]]:
        return {}, lines
    end = 1 + [line.strip() for line in lines[1:60]].index("---")
    head: dict[str, tuple[str, ...]] = {}
    key = ""
    for line in lines[1:end]:
        if listed := re.match(r"\s*-\s+(?P<value>.+)$", line):
            head[key] = (*head.get(key, ()), _bare(listed["value"]))
        elif named := re.match(r"(?P<key>\w+)\s*:\s*(?P<values>.*)$", line):
            key = named["key"].lower()
            told = (_bare(value) for value in named["values"].strip("[] ").split(","))
            head[key] = tuple(value for value in told if value)
    return head, lines[end + 1 :]


def _bare(text: str) -> str:
    return text.strip().strip("'\"").strip()
