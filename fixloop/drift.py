"""Data-shape drift: code began to take a field for granted that the records of production do not all have.

The story is in three places: the change that began to read the field, what sampled payloads of the entry point look
like, and the records in the tests. Together they say why a change passed every test and broke on old records.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from fixloop import Repository
from fixloop.reproduce.syntax import parse
from fixloop.situation import is_test
from store.shapes import Presence

RECENT = timedelta(days=7)  # before the newest sampled payload
TEST_FILES = 60  # in which records are looked for
ALIKE = 2  # fields that a record of a test shares with production's to be one of them


@dataclass(frozen=True)
class Records:
    """The records in tests that look like production's: how many, and the first (path:line) that lacks the field."""

    alike: int
    lacking: str | None


def sentence(name: str, presence: Presence, records: Records) -> str:
    """What is known of a field that is missing, in one sentence."""
    days = presence.days
    last = max(day.day for day in days)
    recent = [day for day in days if day.day > last - RECENT]
    of, lacking = sum(day.of for day in recent), sum(day.of - day.present for day in recent)
    null = sum(day.null for day in recent)
    first = next((day.day for day in days if day.present < day.of), None)
    parts = [
        f"began to read {name!r}: {100 * lacking / of:.0f} % of the recent payloads of {presence.entry} lack "
        f"{presence.field} ({lacking} of {of} that came with sampled events in the seven days to {last:%Y-%m-%d})"
    ]
    if null:
        parts.append(f"in {null} it is null")
    if all_well := sum(day.of for day in presence.well if day.day > last - RECENT):
        without = sum(day.of - day.present for day in presence.well if day.day > last - RECENT)
        parts.append(f"of {all_well} requests that went well {without} lack it")
    if first is not None:
        parts.append(f"the first that was seen came on {first:%Y-%m-%d}")
    if records.lacking:
        parts.append(f"a test has such a record ({records.lacking})")
    elif records.alike:
        some = (
            f"all {records.alike} that look like it have"
            if records.alike > 1
            else "the one that looks like it has"
        )
        parts.append(f"no test has such a record: {some} {name!r}")
    else:
        parts.append("no test has a record that looks like it")
    return "; ".join(parts)


def records_in_tests(repository: Repository, release: str, name: str, siblings: Sequence[str]) -> Records:
    """The records in tests at a release that have at least two of the `siblings`, the other fields of the record."""
    words = [word for word in siblings if re.fullmatch(r"[A-Za-z_]\w+", word)]
    if not words:
        return Records(0, None)
    found = repository.history.grep(release, "|".join(words[:20]))
    paths = [path for path in dict.fromkeys(path for path, _, _ in found) if is_test(path)][:TEST_FILES]
    alike, lacking = 0, None
    for path in paths:
        for line, fields in _records(repository.text(release, path) or "", path):
            if len(fields & set(words)) < min(ALIKE, len(words)):
                continue
            alike += 1
            if name not in fields:
                lacking = lacking or f"{path}:{line}"
    return Records(alike, lacking)


def _records(text: str, path: str) -> Iterator[tuple[int, set[str]]]:
    """The dictionaries that a file of Python or JSON spells out, with their first line."""
    if not path.endswith((".py", ".json")):
        return
    tree = parse(text)  # what JSON spells is spelled so in Python, all but its three words
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Dict):
            keys = (key.value for key in node.keys if isinstance(key, ast.Constant))
            yield node.lineno, {key for key in keys if isinstance(key, str)}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict":
            yield node.lineno, {key.arg for key in node.keywords if key.arg}
