"""What is right where no parent says it: what calls give one after the other, what siblings take for a missing key, and
what a record gave in the form that it had before its key was moved.

Both are seen by running the release itself. Calls that are made at once have to come out as they do one after the
other. Where the team's code takes a default for a key elsewhere, a call without the key has to give what it gives with
that default in its place.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fixloop.contract import filled_once, moved_back
from fixloop.fixers.mining import default_for_key
from fixloop.oracle import Meaning, read
from fixloop.reproduce.interleaving import ALONE
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.same import Signature
from fixloop.reproduce.write import assertable, call_source
from fixloop.running.runner import Runner
from store.repair import Oracle


@dataclass(frozen=True)
class Stated:
    """A right answer, with the oracle that it comes from and its reason in one sentence."""

    oracle: Oracle
    expected: Any
    why: str


def stated(
    recipe: Recipe, signature: Signature, release: Runner, sources: Mapping[str, tuple[str, str]],
    names: Mapping[str, Sequence[tuple[str, ...]]],
) -> Stated | None:  # fmt: skip
    """What is right for a call that fails, or None where nothing that was run says it. `sources`: module ->
    (repository, text); `names`: keys that the failure says are missing, each with the places where its value may be
    since a change."""
    modules = frozenset(sources)
    if recipe.schedule is not None:
        alone = recipe.model_copy(update={"schedule": {**recipe.schedule, "before": ALONE}})
        right = _good(alone, signature, release, modules)
        why = "Right (oracle invariant) is what the same two calls give one after the other."
        return Stated(Oracle.INVARIANT, right, why) if right is not None else None
    if signature.type != "KeyError":
        return None
    for name, paths in names.items():
        answer = _in_its_old_form(recipe, signature, release, modules, name, paths)
        if answer is not None:
            why = f"Right (oracle sibling_contract) is what the code gives where {name} stands as it did before."
            return Stated(Oracle.SIBLING_CONTRACT, answer, why)
    for name in names:
        policy = default_for_key(name, (text for _, text in sources.values()))
        if policy is None:
            continue
        default = policy[0]
        answers = _with_default(recipe, signature, release, modules, name, ast.literal_eval(default))
        if len(answers) == 1 and not _speaks_of(answers[0], name):
            why = f"Right (oracle sibling_contract) is what the code gives for {name}={default}, its siblings' default."
            return Stated(Oracle.SIBLING_CONTRACT, answers[0], why)
    return None


def _in_its_old_form(
    recipe: Recipe, signature: Signature, release: Runner, modules: frozenset[str], name: str,
    paths: Sequence[tuple[str, ...]],
) -> Any:  # fmt: skip
    """What the call gives when the record has its value under the old key, too; None where that is not one answer."""
    found: dict[str, Any] = {}
    for path in paths:
        for inputs in moved_back(recipe.inputs, name, path):
            answer = _good(recipe.model_copy(update={"inputs": inputs}), signature, release, modules)
            if answer is not None:
                found.setdefault(json.dumps(answer, sort_keys=True), answer)
    return next(iter(found.values())) if len(found) == 1 else None


def _with_default(
    recipe: Recipe, signature: Signature, release: Runner, modules: frozenset[str], name: str, default: Any
) -> list[Any]:
    """The different answers to the call with the key put in: more than one where it matters where it is put."""
    found: dict[str, Any] = {}
    for inputs in _places(recipe.inputs, name, default):
        answer = _good(recipe.model_copy(update={"inputs": inputs}), signature, release, modules)
        if answer is not None:
            found.setdefault(json.dumps(answer, sort_keys=True), answer)
    return list(found.values())


def _places(inputs: dict[str, Any], name: str, default: Any) -> Iterator[dict[str, Any]]:
    if isinstance(default, (bool, int, float, str)) or default in ([], {}):
        yield from filled_once(inputs, name, default)


def _speaks_of(answer: Any, name: str) -> bool:
    """Whether an answer repeats its input: then it is not what a call without the key would give."""
    return json.dumps(name) in json.dumps(answer)


def _good(recipe: Recipe, signature: Signature, release: Runner, modules: frozenset[str]) -> Any:
    """What a call gives, twice the same; None where it is no good answer or differs by itself."""
    answers = []
    for outcome in release.run(call_source(recipe), times=2, preload=recipe.preload):
        reading = read(recipe, signature, outcome, modules)
        answers.append(reading.expected if reading.meaning == Meaning.GOOD else None)
    same = answers[0] is not None and answers[0] == answers[1]
    return answers[0] if same and assertable(answers[0]) else None
