"""`eval grouping`: which labelled events the fingerprint takes for one, compared by pairs and by event."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.evaluation.noise_rows import NOW
from store.errors import BadPayload
from store.event import Event
from triage.fingerprint import fingerprint
from triage.formats.sentry_event import event_of
from triage.formats.traceback_text import chains
from triage.redact import Redactor


@dataclass(frozen=True)
class Grouped:
    """One labelled event: the group it belongs to, and the one that was made."""

    id: str
    source: str
    wanted: str
    made: str
    parts: tuple[str, ...]


def group_file(path: Path) -> list[Grouped]:
    """Fingerprints of the events of a file: JSON lines with `event` (a Sentry event) or `text` (a trace) and
    `group`; or CSV with system, content and event_id (log lines). `.gz` too. Raises BadPayload."""
    try:
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = body.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadPayload(f"{path} cannot be read: {error}.") from error
    rows = _csv_rows(text) if ".csv" in path.suffixes else _json_rows(text)
    found = []
    for number, (name, source, event, group) in enumerate(rows, 1):
        if event is None:
            raise BadPayload(f"Event {number} of {path} is not a labelled event.")
        print_ = fingerprint(event)
        found.append(Grouped(name, source, group, print_.key, print_.parts))
    if not found:
        raise BadPayload(f"{path} holds no labelled event.")
    return found


def summary(events: Sequence[Grouped]) -> dict[str, Any]:
    """The figures over all events and for each source apart."""
    by_source: dict[str, list[Grouped]] = defaultdict(list)
    for event in events:
        by_source[event.source].append(event)
    sources = {name: figures(members) for name, members in sorted(by_source.items())}
    return {**figures(events), "sources": sources}


def figures(events: Sequence[Grouped]) -> dict[str, Any]:
    """Pairwise precision and recall, B-cubed, groups wanted and made, and the share of events whose group is
    exactly right."""
    wanted = Counter(event.wanted for event in events)
    made = Counter(event.made for event in events)
    both = Counter((event.wanted, event.made) for event in events)
    together = _pairs(both.values())
    precision = together / _pairs(made.values()) if _pairs(made.values()) else 1.0
    recall = together / _pairs(wanted.values()) if _pairs(wanted.values()) else 1.0
    b_precision = sum(count * count / made[key[1]] for key, count in both.items()) / len(events)
    b_recall = sum(count * count / wanted[key[0]] for key, count in both.items()) / len(events)
    exact = sum(count for (right, key), count in both.items() if count == wanted[right] == made[key])
    return {
        "n": len(events),
        "groups_wanted": len(wanted),
        "groups_made": len(made),
        "pairwise_precision": round(precision, 4),
        "pairwise_recall": round(recall, 4),
        "pairwise_f1": _f1(precision, recall),
        "bcubed_precision": round(b_precision, 4),
        "bcubed_recall": round(b_recall, 4),
        "bcubed_f1": _f1(b_precision, b_recall),
        "grouping_accuracy": round(exact / len(events), 4),
    }


def _pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def _f1(precision: float, recall: float) -> float:
    return round(2 * precision * recall / (precision + recall), 4) if precision + recall else 0.0


_Rows = Iterable[tuple[str, str, Event | None, str]]


def _json_rows(text: str) -> _Rows:
    for line in filter(str.strip, text.splitlines()):
        try:
            sent = json.loads(line)
            yield (
                str(sent["id"]),
                str(sent.get("source") or sent.get("repo") or "all"),
                _event(sent),
                str(sent["group"]),
            )
        except (ValueError, KeyError, TypeError):
            yield "", "", None, ""


def _csv_rows(text: str) -> _Rows:
    for number, row in enumerate(csv.DictReader(io.StringIO(text))):
        try:
            event = _message(str(number), row["content"], row["system"])
            yield str(number), row["system"], event, f"{row['system']}:{row['event_id']}"
        except KeyError:
            yield "", "", None, ""


def _event(sent: Mapping[str, Any]) -> Event:
    if isinstance(sent.get("event"), dict):
        return Redactor(b"eval").redact(event_of(sent["event"], project="eval", received_at=NOW))
    event = _message(str(sent["id"]), str(sent["text"]), None)
    found = chains(str(sent["text"]))
    return event.model_copy(update={"message": None, "exceptions": tuple(found[0][1])}) if found else event


def _message(name: str, text: str, service: str | None) -> Event:
    return Event(
        event_id=name, project="eval", received_at=NOW, timestamp=NOW, message=text, service=service,
        logger=service,
    )  # fmt: skip
