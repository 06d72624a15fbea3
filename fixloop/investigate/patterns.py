"""Patterns that need no model: each reads the pack, and says what would have to be true and how to see it.

A pattern is a guess with citations. What it cites is checked like what a model cites, and what it predicts is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from fixloop.investigate import circumstances
from fixloop.investigate.citing import added, commit, kind, line, line_text, message, place, told, touched
from fixloop.investigate.drafting import Guess
from fixloop.investigate.pack import Pack
from store.repair import Hypothesis, Prediction

Pattern = Callable[[Pack], Iterator[Guess]]
MOST = 6  # hypotheses of one incident


def missing_shape(pack: Pack) -> Iterator[Guess]:
    """A field that the code reads, absent in these records; and the change that began to read it."""
    if kind(pack) != "KeyError":
        return
    key = message(pack).strip("'\"")
    at = line(pack, f"reads {key!r} and has nothing to fall back on")
    if at is None or not re.search(rf"[\[(]\s*['\"]{re.escape(key)}['\"]", line_text(pack)):
        return
    reads = re.compile(rf"[\[(]\s*['\"]{re.escape(key)}['\"]\s*\]")
    lacking, of = _lacking(pack, key)
    share = f"; {lacking} of {of} kept events show a record without it" if of else ""
    for change in pack.changes:
        for path, text in added(change, reads):
            yield Guess(
                kind="missing_shape", score=0.6,
                statement=f"{change.commit[:9]} began to read {key!r}, which these records do not have{share}",
                evidence=(told(pack, "the key that is missing"), at, commit(change, "began to read it", path, text)),
                predicts="without what that change did the same call works",
                test=Prediction(repo=change.repo, commit=change.commit),
            )  # fmt: skip
            return
    yield Guess(
        kind="missing_shape", score=0.3,
        statement=f"the record has no {key!r}, and the code takes it for granted{share}",
        evidence=(told(pack, "the key that is missing"), at),
        predicts=f"with {key!r} in the record the same call works", test=Prediction(kind="value", name=key),
        missing=(f"a record that has {key!r}: which sender leaves it out, and since when",),
    )  # fmt: skip


def _lacking(pack: Pack, key: str) -> tuple[int, int]:
    """In how many of the events that show the mapping that was read it lacks the key."""
    held = re.search(rf"([A-Za-z_]\w*)\s*\[\s*['\"]{re.escape(key)}['\"]", line_text(pack))
    seen = []
    for event in pack.events:
        frames = [frame for frame in (event.exception.frames if event.exception else ()) if frame.in_app]
        value = frames[-1].vars.get(held[1]) if frames and held else None
        if isinstance(value, dict):
            seen.append(key not in value)
    return sum(seen), len(seen)


_NONE = re.compile(r"'NoneType' object (?:has no attribute '(\w+)'|is not (\w+))|NoneType")


def none_from_producer(pack: Pack) -> Iterator[Guess]:
    """A value is None that the code takes for something: what gave it, and who changed that."""
    if kind(pack) not in {"AttributeError", "TypeError"} or not _NONE.search(message(pack)):
        return
    at = line(pack, "uses a value that is None here")
    if at is None:
        return
    for name, producer in _producers(pack):
        wanted = re.compile(rf"\b(def\s+)?{re.escape(producer)}\b")
        for change in pack.changes:
            for path, text in touched(change, wanted):
                yield Guess(
                    kind="none_from_producer", score=0.5,
                    statement=f"{name} is None because {producer}() gives None since {change.commit[:9]}",
                    evidence=(told(pack, "something is None"), at, commit(change, f"touches {producer}", path, text)),
                    predicts=f"without what that change did to {producer}() the same call works",
                    test=Prediction(repo=change.repo, commit=change.commit),
                )  # fmt: skip
                return
    names = ", ".join(_nones(pack)) or "a value"
    yield Guess(
        kind="none_from_producer", score=0.25,
        statement=f"{names} is None here, and what gives it was not told to",
        evidence=(told(pack, "something is None"), at),
        missing=("which call gave the None: local variables of the frame that made it (with_locals in the SDK)",),
    )  # fmt: skip


def _nones(pack: Pack) -> list[str]:
    frame = pack.own[-1].frame if pack.own else None
    return [name for name, value in (frame.vars if frame else {}).items() if value in ("None", None)]


def _producers(pack: Pack) -> Iterator[tuple[str, str]]:
    """(what is None, the function that gave it), by assignments in the function that failed and calls in its line."""
    text = pack.failed.text if pack.failed else ""
    for name in _nones(pack):
        for found in re.finditer(rf"\b{re.escape(name)}\s*=\s*(?:await\s+)?(?:[\w.]+\.)?(\w+)\(", text):
            yield name, found[1]
    for found in re.finditer(r"(\w+)\([^()]*\)\s*[.\[]", line_text(pack)):
        yield f"{found[1]}()", found[1]


_SIGNATURE = re.compile(
    r"(?:(?P<owner>\w+)\.)?(?P<name>\w+)\(\) (?:got an unexpected keyword|missing \d+ required|takes )"
)


def signature_drift(pack: Pack) -> Iterator[Guess]:
    """A function takes other arguments than its callers give."""
    found = _SIGNATURE.search(message(pack))
    at = line(pack, "calls it the old way")
    if kind(pack) != "TypeError" or found is None or at is None:
        return
    name = (found["owner"] if found["name"] == "__init__" else None) or found["name"]
    defined = re.compile(rf"\bdef\s+{re.escape(found['name'])}\s*\(|\bclass\s+{re.escape(name)}\b")
    for change in pack.changes:
        for path, text in touched(change, defined):
            yield Guess(
                kind="signature_drift", score=0.6,
                statement=f"{change.commit[:9]} changed what {name}() takes, and a caller was left as it was",
                evidence=(told(pack, "the call that does not fit"), at, commit(change, "changed it", path, text)),
                predicts="without what that change did the same call works",
                test=Prediction(repo=change.repo, commit=change.commit),
            )  # fmt: skip
            return
    yield Guess(
        kind="signature_drift", score=0.3,
        statement=f"{name}() takes other arguments than it is given here",
        evidence=(told(pack, "the call that does not fit"), at),
        missing=("the version of the package that defines it, then and now (the lock file of each release)",),
    )  # fmt: skip


PATTERNS: tuple[Pattern, ...] = (
    missing_shape, none_from_producer, signature_drift, circumstances.race, circumstances.encoding,
    circumstances.time_zones, circumstances.exhaustion, circumstances.dependency, circumstances.configuration,
)  # fmt: skip


class Patterns:
    """All patterns, as an investigator."""

    name = "patterns"

    def investigate(self, pack: Pack) -> Sequence[Hypothesis]:
        """What the patterns say, the likeliest first."""
        found: list[Guess] = []
        for pattern in PATTERNS:
            found += pattern(pack)
        found.sort(key=lambda guess: -guess.score)
        numbers = count(1)
        return tuple(
            Hypothesis(
                id=f"P{next(numbers)}", statement=guess.statement, location=place(pack), kind=guess.kind,
                score=guess.score, evidence=tuple(filter(None, guess.evidence)), predicts=guess.predicts,
                test=guess.test, missing=guess.missing, by=self.name,
            )
            for guess in found[:MOST]
        )  # fmt: skip
