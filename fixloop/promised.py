"""What is right because the team's code promises it: a template's answer that stands in several places, carried out.

A sibling that does something with a value states what its neighbours are to do with it. Where a template's policy is
stated so (`Proposal.is_promised`), the release is run once with just that in the failing line's place, and what the
call gives then is what the code promises. Where it is stated once only, functions of the same module that take the same
input are called with it: two that give that answer, and none that gives another, promise it as well. It is no promise
where two policies give two answers, where the answer is of another kind than what the call gives for inputs beside this
one, and where nothing can be asserted of it.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from fixloop.blocks import unified
from fixloop.fixers import FixCase
from fixloop.fixers.crash import PROMISED, Proposal
from fixloop.fixers.rules import proposals
from fixloop.judging.beyond import siblings_of
from fixloop.judging.compare import NONE, told
from fixloop.judging.neighbours import neighbours
from fixloop.oracle import Meaning, ended_well
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.syntax import functions, own_parts, parse
from fixloop.reproduce.write import assertable, call_source, is_call
from fixloop.running.worlds import World
from fixloop.stated import Stated
from store.repair import Oracle

SHARED = 2  # parameters that functions have in common, for "the same input" to say something
BESIDE = 8  # inputs beside the failing one that are asked for the kind of their answers


def promised(case: FixCase, recipe: Recipe) -> Stated | None:
    """What the call has to give by what the team's code does elsewhere; None where it does not say, or not one
    thing."""
    found: dict[str, tuple[Any, Proposal]] = {}
    for one in proposals(case):
        answer = _carried_out(case, recipe, one) if one.places else None
        if answer is not None:
            found.setdefault(json.dumps(answer, sort_keys=True), (answer, one))
    if len(found) != 1:
        return None
    answer, one = next(iter(found.values()))
    agreeing = () if one.is_promised else _agreeing(case, recipe, answer)
    if not (one.is_promised or len(agreeing) >= PROMISED) or not _is_of_a_kind(case, recipe, answer):
        return None
    also = f" {', '.join(agreeing)} give the same for the same input." if agreeing else ""
    return Stated(Oracle.SIBLING_CONTRACT, answer, f"Right (oracle sibling_contract): {one.why}{also}")


def _agreeing(case: FixCase, recipe: Recipe, answer: Any) -> tuple[str, ...]:
    """Functions of the failing module that take the very same input and give this answer; none where one of them gives
    another."""
    found = []
    with case.bench.runner(case.bench.world()) as runner:
        for other in siblings_of(recipe, case.situation):
            if len(other.inputs["kwargs"]) < SHARED:
                continue
            outcome = runner.run(call_source(other), preload=other.preload)[0]
            reading = told(other, case.reproduction.signature, outcome, frozenset(case.situation.modules))
            if reading.meaning == Meaning.GOOD and reading.expected != answer:
                return ()
            if reading.meaning == Meaning.GOOD:
                found.append(f"{other.target['qualname']}()")
    return tuple(found[:BESIDE])


def _carried_out(case: FixCase, recipe: Recipe, one: Proposal) -> Any:
    """What the call gives with the proposal, twice the same; None where that is nothing to go by."""
    bench = case.bench
    world = bench.world()
    diff = unified({one.path: one.old}, {one.path: one.new})
    tree = bench.trees.patched(one.repo, world.trees[one.repo], diff)
    if tree is None:
        return None
    failed = not ended_well(recipe, case.reproduction.outcome)
    readings = [
        told(recipe, case.reproduction.signature, outcome, frozenset(case.situation.modules), failed)
        for outcome in _run(case, world.with_tree(one.repo, tree), recipe, 2)
    ]
    answers = [each.expected if each.meaning == Meaning.GOOD else None for each in readings]
    nothing = answers[0] == NONE and not _answers_with_none(case, recipe)
    if answers[0] != answers[1] or answers[0] is None or nothing or not assertable(answers[0]):
        return None
    return answers[0]


def _answers_with_none(case: FixCase, recipe: Recipe) -> bool:
    """Whether None is one of the answers that the called function gives, in so many words, beside others: of one that
    only does something a None says nothing."""
    known = case.situation.modules.get(str(recipe.target.get("module") or ""))
    tree = parse(known[1]) if known is not None else None
    qualname = recipe.target.get("qualname")
    function = next((each for each in functions(tree) if each.qualname == qualname), None) if tree else None
    if function is None or function.is_generator:
        return False
    given = [part.value for part in own_parts(function.node) if isinstance(part, ast.Return)]
    none = [value is None or (isinstance(value, ast.Constant) and value.value is None) for value in given]
    return any(none) and not all(none)


def _run(case: FixCase, world: World, recipe: Recipe, times: int) -> Any:
    with case.bench.runner(world) as runner:
        return runner.run(call_source(recipe), times=times, preload=recipe.preload)


def _is_of_a_kind(case: FixCase, recipe: Recipe, answer: Any) -> bool:
    """Whether calls beside this one that work give answers of that kind, too. A refusal is of every kind, so is a None
    that the function gives in so many words."""
    kinds = set()
    with case.bench.runner(case.bench.world()) as runner:
        for other in filter(is_call, neighbours(recipe)[:BESIDE]):
            outcome = runner.run(call_source(other), preload=other.preload)[0]
            reading = told(other, case.reproduction.signature, outcome, frozenset(case.situation.modules))
            if reading.meaning == Meaning.GOOD and reading.expected is not None:
                kinds.add(_kind(reading.expected))
    kinds.discard("$raises")
    return not kinds or answer == NONE or _kind(answer) in {*kinds, "$raises"}


def _kind(answer: Any) -> str:
    """The type of an answer: of its snapshot, or the name of the mark that says what it is."""
    marks = [key for key in answer if str(key).startswith("$")] if isinstance(answer, dict) else []
    if "$object" in marks:
        return str(answer["$object"])
    return marks[0] if marks else type(answer).__name__
