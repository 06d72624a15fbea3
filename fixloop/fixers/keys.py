"""Templates for a key that is missing: the default that siblings take, or the place where a change put its value."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fixloop.fixers.crash import Crash, Proposal, spliced
from fixloop.fixers.mining import default_for_key
from fixloop.fixers.moving import moved_to, versions
from fixloop.reproduce.syntax import Function


def missing_key(crash: Crash) -> Iterator[Proposal]:
    """x["k"] -> x.get("k", D); D is what the team's code takes elsewhere where k is missing."""
    if crash.type != "KeyError" or crash.function is None:
        return
    key = crash.message.strip("'\"")
    policy = default_for_key(key, (text for _, text in crash.case.situation.modules.values()))
    if policy is None:
        return
    default, places = policy
    edits = [
        (node, f"{ast.get_source_segment(crash.source.text, node.value)}.get({key!r}, {default})")
        for node in _reads(crash.function, key)
    ]
    said = f"A missing {key!r} is {default}, as the team's code takes it elsewhere."
    yield from crash.propose(spliced(crash.source.text, edits), said, places=places)


def moved_key(crash: Crash) -> Iterator[Proposal]:
    """x["k"] -> x["n"]["p"] if "n" in x else x["k"]; a change to what writes the record has moved the value there."""
    if crash.type != "KeyError" or crash.function is None:
        return
    key = crash.message.strip("'\"")
    for path in moved_to(key, versions(key, crash.case.changes, crash.case.bench.repositories)):
        edits = []
        for node in _reads(crash.function, key):
            holder = ast.get_source_segment(crash.source.text, node.value)
            there = "".join(f"[{step!r}]" for step in path)
            edits.append((node, f"({holder}{there} if {path[0]!r} in {holder} else {holder}[{key!r}])"))
        where = " of ".join(repr(step) for step in reversed(path))
        said = (
            f"{key!r} is {where} since the code that writes it was changed; records of both forms are read."
        )
        yield from crash.propose(spliced(crash.source.text, edits), said)


def _reads(function: Function, key: str) -> list[ast.Subscript]:
    return [
        node
        for node in ast.walk(function.node)
        if isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Load)
        and isinstance(node.slice, ast.Constant)
        and node.slice.value == key
    ]
