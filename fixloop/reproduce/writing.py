"""From a reproduction to the reproducer that is kept: minimal, written as a test, scanned for flakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from fixloop.bench import Bench
from fixloop.flake import COLD
from fixloop.minimise import minimise
from fixloop.oracle import Meaning, ended_well, read
from fixloop.reproduce.calling import called
from fixloop.reproduce.fixtures import takings
from fixloop.reproduce.ladder import Reproduction
from fixloop.reproduce.lines import NOTHING, Taken
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.styles import style_of
from fixloop.reproduce.values import size
from fixloop.reproduce.write import call_source, is_call, test_source
from fixloop.running.runner import Runner
from fixloop.running.worlds import SOURCES, World
from fixloop.stated import Stated
from store.repair import Oracle, Reproducer

KEEP = tuple((part,) for part in (
    "method", "path", "args", "kwargs", "self", "objects", "files", "argv", "uploads", "rows", "world",
))  # fmt: skip
QUICK = 0.06  # of the seconds of a repair that all runs of a test with fixtures may take
SHARE = 0.2  # of the seconds of a repair that making the input smaller may take
_UPLOAD, _ROW = ("field", "name", "content"), ("model", "name", "fields")


def minimal(found: Reproduction, bench: Bench, parents: World | None, modules: frozenset[str]) -> Recipe:
    """The recipe with the smallest input that fails for the same reason and that the parent, where there is one, still
    answers well: what only the bug can tell apart from right is kept."""
    until = bench.budget.left - SHARE * bench.budget.seconds
    with bench.runner(bench.world()) as runner, bench.runner(parents or bench.world()) as before:

        def fails(inputs: Any) -> bool:
            if (
                bench.budget.tight or bench.budget.left < until
            ):  # a larger test that is written beats a smaller one that is not
                return False
            candidate = found.recipe.model_copy(update={"inputs": inputs})
            if not is_call(candidate):
                return False
            source = call_source(candidate)
            if not _same(runner, source, candidate, found):
                return False
            if parents is None:
                return True
            outcome = before.run(source, preload=candidate.preload)[0]
            return read(candidate, found.signature, outcome, modules).meaning == Meaning.GOOD

        inputs = _without_world(_without_headers(found.recipe.inputs, fails), fails, found.recipe)
        smaller = minimise(inputs, fails, keep=_kept(found.recipe), keys=parents is not None)
    return found.recipe.model_copy(update={"inputs": smaller})


def _without_headers(inputs: dict[str, Any], fails: Callable[[Any], bool]) -> dict[str, Any]:
    """Headers never are the shape of a record: those that do not matter go in any case."""
    if not inputs.get("headers"):
        return inputs
    smaller = minimise(inputs["headers"], lambda headers: fails({**inputs, "headers": headers}), budget=40)
    return {**inputs, "headers": smaller}


def _without_world(inputs: dict[str, Any], fails: Callable[[Any], bool], recipe: Recipe) -> dict[str, Any]:
    """What the call met and does not need goes in any case: a variable or an answer is no part of a record."""
    if not inputs.get("world"):
        return inputs
    keep = [path[1:] for path in _kept(recipe) if path[0] == "world" and len(path) > 1]
    smaller = minimise(
        inputs["world"], lambda world: fails({**inputs, "world": world}), budget=60, keep=keep, keys=False
    )
    for part in list(smaller):
        less = {key: value for key, value in smaller.items() if key != part}
        if fails({**inputs, "world": less}):
            smaller = less
        elif isinstance(smaller[part], dict):
            names = minimise(smaller[part], partial(_fails_with, fails, inputs, smaller, part), budget=20)
            smaller = {**smaller, part: names}
    return {**inputs, "world": smaller}


def _fails_with(fails: Callable[[Any], bool], inputs: Any, world: Any, part: str, rest: Any) -> bool:
    return fails({**inputs, "world": {**world, part: rest}})


def _same(runner: Runner, source: str, recipe: Recipe, found: Reproduction) -> bool:
    outcome = runner.run(source, preload=recipe.preload)[0]
    caught = found.signature.escapes and ended_well(recipe, outcome)
    return not caught and found.signature.matches(outcome)


def _kept(recipe: Recipe) -> tuple[tuple[str | int, ...], ...]:
    """What a call cannot do without: its shape, and each positional argument (which would move the others)."""
    found: list[tuple[str | int, ...]] = [("args", i) for i in range(len(recipe.inputs.get("args", ())))]
    found += [("uploads", i, part) for i in range(len(recipe.inputs.get("uploads", ()))) for part in _UPLOAD]
    found += [("uploads", i) for i in range(len(recipe.inputs.get("uploads", ())))]
    found += [("rows", i, part) for i in range(len(recipe.inputs.get("rows", ()))) for part in _ROW]
    world = recipe.inputs.get("world", {})
    found += [("world", part, i, name) for part in ("exchanges", "statements", "cache")
              for i, one in enumerate(world.get(part, ())) for name in one]  # fmt: skip
    found += [("world", "statements", i, "columns", j) for i, one in enumerate(world.get("statements", ()))
              for j in range(len(one["columns"]))]  # fmt: skip
    for i, made in enumerate(recipe.inputs.get("objects", ())):
        here = ("objects", i)
        found += [here, *((*here, part) for part in made)]
        found += [(*here, "args", j) for j in range(len(made.get("args", ())))]
        for j, (_, args, _, _) in enumerate(made["calls"]):
            found += [(*here, "calls", j, part) for part in range(4)]
            found += [(*here, "calls", j, 1, k) for k in range(len(args))]
    return (*KEEP, *found)


def write_reproducer(
    incident_id: str, found: Reproduction, recipe: Recipe, right: Stated | None, bench: Bench,
    parents: World | None = None,
) -> Reproducer:  # fmt: skip
    """Write the test and run it `bench.runs` times on the running release; it has to fail every time: most runs are
    forks of a process that has loaded it, a few load everything themselves. `right` says what the call has to give
    and how that is known; without, only that the failure is gone is asked. `parents`: where it is known to pass."""
    oracle = right.oracle if right is not None else Oracle.NO_CRASH
    style = style_of(recipe.repo, bench)
    name = "test_" + incident_id.lower().replace("-", "_")
    path = f"{style.folder}/{name}.py"
    with bench.runner(bench.world()) as runner:
        seen = runner.run(call_source(recipe), preload=recipe.preload)[0]
    plain = Reproducer(
        repo=recipe.repo, framework=style.framework, test_path=path, source="", command="",
        entry=recipe.entry, oracle=oracle, inputs=recipe.inputs,
        guessed=recipe.guessed, redacted=recipe.redacted,
        controls=_controls(recipe), same_failure=found.signature.matches(seen),
        size_before=size(found.recipe.inputs), size_after=size(recipe.inputs),
        recipe=recipe.model_dump(mode="json"), expected=right.expected if right is not None else None,
    )  # fmt: skip
    doc = _doc(incident_id, found, recipe, right, bench.address)

    def written(taken: Taken) -> Reproducer:
        mine = style if taken.base or not style.django else replace(style, django=False)
        words = (plain.expected, right is not None, _refused_as(found), mine, taken)
        source = test_source(recipe, name, doc, *words)
        return plain.model_copy(update={"source": source, "command": mine.command(path)})

    if right is None or (right.oracle == Oracle.PARENT_VALUE and parents is not None):
        for taken in takings(recipe, style, bench):  # what nobody could see pass makes all by itself
            test = written(taken)
            if _serves(test, found, bench, parents if right is not None else None):
                scanned = _scanned(test, recipe, bench)
                if scanned.failures == scanned.runs:
                    return scanned
    return _scanned(written(NOTHING), recipe, bench)


def _scanned(test: Reproducer, recipe: Recipe, bench: Bench) -> Reproducer:
    """The test with how often it failed."""
    source, function = called(test)
    cold = bench.runs if recipe.schedule else min(COLD, bench.runs)  # threads want their own database
    with bench.runner(bench.world()) as runner:
        outcomes = runner.run(source, function, times=cold, preload=recipe.preload, watch=False)
        if bench.runs > cold:
            outcomes += runner.run(source, function, times=bench.runs - cold, warm=True, watch=False)
    failures = sum(outcome.status != "ok" for outcome in outcomes)
    return test.model_copy(update={"runs": len(outcomes), "failures": failures})


def _serves(test: Reproducer, found: Reproduction, bench: Bench, parents: World | None) -> bool:
    """Whether a test that takes fixtures fails for the same reason, passes where it is known what is right, and is
    quick enough to be run as often as a proof asks."""
    source, function = called(test)
    with bench.runner(bench.world()) as runner:
        failed = runner.run(source, function)[0]
        if not found.signature.matches(failed) or failed.status == "ok":
            return False
        took = runner.run(source, function, times=2, warm=True, watch=False)[-1].took
    if took * bench.runs > QUICK * bench.budget.seconds:
        return False
    if parents is None:
        return True
    with bench.runner(parents) as before:
        return before.run(source, function, watch=False)[0].status == "ok"


def _refused_as(found: Reproduction) -> str | None:
    """The type of the incident's error, where own code raises it on purpose."""
    same = next((raised for raised in found.outcome.seen if found.signature.is_it(raised)), None)
    if same is None or not str(same.last.get("text", "")).startswith("raise "):
        return None
    return same.type if str(same.last.get("path", "")).startswith(SOURCES + "/") else None


def _controls(recipe: Recipe) -> dict[str, str]:
    """What was held still while the test ran."""
    controls = {"hash_seed": "0", "random_seed": "0", "network": "closed", "timezone": "UTC"}
    if recipe.now is not None:
        controls["time"] = recipe.now
    if recipe.schedule is not None:
        explored = recipe.schedule["lines"]
        controls["schedule"] = (
            f"the first call stands before {recipe.schedule['before']!r}; {explored} explored"
        )
    return controls


def _doc(incident_id: str, found: Reproduction, recipe: Recipe, right: Stated | None, address: str) -> str:
    """The docstring: which incident and where it is read, what failed, how the test knows what is right, what was
    guessed."""
    signature = found.signature
    lines = [f"{incident_id}: {signature.type} in {signature.function or 'unknown'}.", ""]
    if address:
        lines.append(f"See {address}/incidents/{incident_id}")
    nothing = "Nothing says what is right: only that this failure is gone is asked (oracle no_crash)."
    lines.append(right.why if right is not None else nothing)
    if recipe.yesterday:
        lines.append(
            "Older commits were run with names put back that newer Pythons have removed, on both sides."
        )
    if recipe.now is not None:
        lines.append("The clock stands at the moment of the incident (needs the package time-machine).")
    lines += [f"Guessed: {guess}." for guess in recipe.guessed[:5]]
    lines += [f"Redacted, and left out: {what}." for what in recipe.redacted[:5]]
    return "\n".join(lines)
