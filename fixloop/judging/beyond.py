"""What a fix does beyond its incident: the others that it closes, and the same defect elsewhere, which it leaves open.

Both are seen by running: a fix closes an incident whose own test fails without it and passes with it, and a defect
elsewhere is named where the same input makes another function fail in the same way, with the test that shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fixloop.bench import Bench
from fixloop.judging.applied import prepare
from fixloop.judging.constraints import Refusal
from fixloop.judging.witness import Trial
from fixloop.reproduce.calling import called, written
from fixloop.reproduce.lines import NOTHING
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.same import Signature
from fixloop.reproduce.styles import style_of
from fixloop.reproduce.syntax import Function, functions, parameter_names, parse, required
from fixloop.reproduce.values import size
from fixloop.reproduce.write import call_source, test_source
from fixloop.running.runner import Runner
from fixloop.situation import Situation
from store.repair import Oracle, Patch, Reproducer

MOST = 6  # of the same defect elsewhere
TIMES = 3  # runs of another incident's test on the fix


def beyond(
    incident_id: str, patch: Patch, trial: Trial, situation: Situation, bench: Bench
) -> tuple[tuple[str, ...], tuple[Reproducer, ...]]:
    """(incidents that the patch closes as well, failing tests of the same defect elsewhere)."""
    case = prepare(bench, bench.world(), patch)
    if isinstance(case, Refusal):
        return (), ()
    with bench.runner(bench.world()) as release, bench.runner(case.world) as fixed:
        closed = tuple(_closed(bench, patch, release, fixed))
        return closed, tuple(_elsewhere(incident_id, trial, situation, bench, release, fixed))[:MOST]


def _closed(bench: Bench, patch: Patch, release: Runner, fixed: Runner) -> Iterator[str]:
    for incident, test in bench.knowledge.tests:
        if written(test.source) is None or test.repo not in bench.layout.commits or bench.budget.tight:
            continue
        preload = Recipe.model_validate(test.recipe).preload if test.recipe else ()
        source, function = called(test)
        before = release.run(source, function, preload=preload, watch=False)
        after = fixed.run(source, function, times=TIMES, preload=preload, watch=False)
        if before[0].status != "ok" and all(outcome.status == "ok" for outcome in after):
            yield incident


def _elsewhere(
    incident_id: str, trial: Trial, situation: Situation, bench: Bench, release: Runner, fixed: Runner
) -> Iterator[Reproducer]:
    alike = Signature(trial.signature.type, None, None, trial.signature.message)
    style = style_of(trial.recipe.repo, bench)
    style = replace(style, django=False)  # a call of a function needs no database of its runner
    for recipe in siblings_of(trial.recipe, situation):
        if bench.budget.tight:
            return
        source = call_source(recipe)
        seen = (runner.run(source, preload=recipe.preload)[0] for runner in (release, fixed))
        if not all(outcome.exception is not None and alike.is_it(outcome.exception) for outcome in seen):
            continue
        function = str(recipe.target["qualname"])
        name = f"test_{incident_id.lower().replace('-', '_')}_{function.rpartition('.')[2]}"
        doc = f"{incident_id}: {function}() fails as {trial.recipe.target['qualname']}() did, on the same input."
        path = f"{style.folder}/{name}.py"
        yield Reproducer(
            repo=recipe.repo, framework=style.framework, test_path=path,
            source=test_source(recipe, name, doc, None, False, None, style, NOTHING),
            command=style.command(path), entry=recipe.entry, oracle=Oracle.NO_CRASH,
            inputs=recipe.inputs, runs=1, failures=1, same_failure=True, size_after=size(recipe.inputs),
            recipe=recipe.model_dump(mode="json"),
        )  # fmt: skip


def siblings_of(recipe: Recipe, situation: Situation) -> Iterator[Recipe]:
    """The same input for the other functions of the module that take it, by the names of their parameters."""
    target, module = recipe.target, str(recipe.target.get("module") or "")
    known = situation.modules.get(module)
    tree = parse(known[1]) if known and recipe.schedule is None else None
    if tree is None or target.get("receiver") or recipe.framework != "python" or recipe.inputs.get("objects"):
        return
    every = [each for each in functions(tree) if not each.nested and each.kind == "function"]
    failing = next((each for each in every if each.qualname == target.get("qualname")), None)
    if failing is None:
        return
    given = _by_name(recipe, failing)
    for other in every:
        names = parameter_names(other.node)
        plain = not other.node.args.posonlyargs and not other.is_generator and not other.is_async
        if other.qualname != failing.qualname and plain and names and required(other.node) <= set(given):
            kwargs = {name: given[name] for name in names if name in given}
            if kwargs:
                inputs = {**recipe.inputs, "args": [], "kwargs": kwargs}
                yield recipe.model_copy(
                    update={"target": {**target, "qualname": other.qualname, "wrap": None}, "inputs": inputs}
                )


def _by_name(recipe: Recipe, function: Function) -> dict[str, object]:
    names = parameter_names(function.node)
    return {
        **dict(zip(names, recipe.inputs.get("args", ()), strict=False)),
        **recipe.inputs.get("kwargs", {}),
    }
