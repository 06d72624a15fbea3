"""What a tail-sampled trace was kept for, and what of it a reproducer has to hold still.

Collectors keep a trace when it has ended, and some say why and how it is replayed (`debug-replay-hint`). Traces are
taken in that order: an error with a stack, a request that ran into its time-out, a broken invariant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from triage.formats.otlp_records import Record
from triage.formats.shapes import clean
from triage.formats.vendors import Sent

CHOSEN = ("error", "timeout", "invariant", "failed")  # the order in which traces are replayed
CONTROLS = 100  # that are kept
_SERVER = 2  # the kind of a span that answers a request
_TIMED_OUT = frozenset({"408", "504", "599"})  # statuses of HTTP
_HINT = re.compile(r"^(?:baggage\.)?debug[-_.]replay[-_.]hint$", re.IGNORECASE)
_TIMEOUT = re.compile(r"time[-_ ]?d?[-_ ]?out|deadline[-_ ]?exceeded", re.IGNORECASE)
_INVARIANT = re.compile(r"(?:^|[._-])invariant(?:[._-](?:violat\w*|broken|failed))?$", re.IGNORECASE)
_CONTROL = re.compile(
    r"^(?:db|cache|random)\.|(?:^|[._-])(?:seed|hashseed|snapshot|isolation(?:[._-]?level)?|cache(?:[._-](?:key|hit|name))?)$",
    re.IGNORECASE,
)


def broken_invariants(record: Record) -> Iterator[tuple[float, str]]:
    """When a span or a log line tells of a broken invariant, and which one."""
    for name, at, said in record.events:
        if _INVARIANT.search(name):
            yield at, _named(said) or name
    for name, value in record.attributes.items():
        if _INVARIANT.search(name) and value not in (False, None, "", "false"):
            yield record.end or record.time, str(value) if isinstance(value, str) else name


def timed_out(record: Record) -> bool:
    """Whether a span is of a request that ran into its time-out."""
    own = record.attributes
    status = str(own.get("http.response.status_code") or own.get("http.status_code") or "")
    said = f"{own.get('error.type') or ''} {record.status}"
    served = record.kind == "span" and record.span_kind == _SERVER
    return served and (
        status in _TIMED_OUT or own.get("timeout") is True or _TIMEOUT.search(said) is not None
    )


def replay_of(record: Record, near: Sequence[Record], chosen: str) -> Sent:
    """The context `replay`: what the trace was chosen for (one of CHOSEN) and its place in that order, the hint that it
    came with, and under `controls` what databases, caches, seeds and transactions were set to, by span."""
    trace = [record, *(each for each in near if each is not record)]
    hint = next((value for name, value in _attributes(trace) if _HINT.match(name)), None)
    controls: Sent = {}
    for name, value in _attributes(trace):
        if _CONTROL.search(name) and len(controls) < CONTROLS:
            controls.setdefault(name, value)
    found: Sent = {"chosen_for": chosen, "order": CHOSEN.index(chosen) + 1, "controls": controls}
    return found if hint is None else {**found, "hint": clean(str(hint), 1024)}


def _attributes(trace: Iterable[Record]) -> Iterator[tuple[str, Any]]:
    for each in trace:
        yield from each.attributes.items()
        yield from each.resource.items()


def _named(said: Sent) -> str | None:
    for name in ("invariant.name", "invariant", "name", "message"):
        if isinstance(said.get(name), str):
            return str(said[name])
    return None
