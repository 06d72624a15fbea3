"""What a hypothesis predicts beside a change, and what running it shows: a value put in, one call after the other, a
setting that is there. The reproduced call is made on the running release, changed in that one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from fixloop.bench import Bench
from fixloop.changes import pins
from fixloop.contract import SAMPLES, with_names
from fixloop.oracle import Meaning, read
from fixloop.reproduce.interleaving import ALONE
from fixloop.reproduce.ladder import Reproduction
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.write import call_source
from fixloop.running.packages import OtherPackages
from fixloop.running.worlds import World
from store.errors import Unavailable
from store.repair import Hypothesis, Prediction, Upgrade

MOST = 4  # hypotheses that are run


@dataclass(frozen=True)
class _Run:
    """One call with one thing changed, and that thing in words."""

    recipe: Recipe
    world: World
    said: str


def experiment(
    hypotheses: Sequence[Hypothesis], reproduction: Reproduction, bench: Bench, modules: frozenset[str]
) -> tuple[Hypothesis, ...]:
    """The hypotheses, those whose prediction could be run with what the runs showed."""
    left, found = MOST, []
    for one in hypotheses:
        make = _MAKERS.get(one.test.kind) if one.test is not None else None
        if one.test is None or make is None or left == 0 or bench.budget.tight:
            found.append(one)
            continue
        left -= 1
        found.append(_shown(one, list(make(one.test, reproduction, bench)), reproduction, bench, modules))
    return tuple(found)


def _shown(
    one: Hypothesis, runs: Sequence[_Run], reproduction: Reproduction, bench: Bench, modules: frozenset[str]
) -> Hypothesis:
    """Supported where the failure is gone in a run, refuted where it stays in all of them."""
    said = []
    for run in runs:
        with bench.runner(run.world) as runner:
            outcome = runner.run(call_source(run.recipe), preload=run.recipe.preload)[0]
        reading = read(run.recipe, reproduction.signature, outcome, modules)
        if reading.meaning == Meaning.GOOD:
            return one.model_copy(update={"status": "supported", "shown": f"{run.said} it {reading.said}"})
        said.append((reading.meaning, f"{run.said} it {reading.said}"))
    if said and all(meaning == Meaning.SAME for meaning, _ in said):
        return one.model_copy(update={"status": "refuted", "shown": said[0][1]})
    return one.model_copy(update={"shown": said[0][1]}) if said else one


def before(bench: Bench, test: Prediction) -> tuple[Upgrade, World] | None:
    """The running release with a package in the version that it had before a change; None where that is not known or
    cannot be had."""
    old, packages = pins.before(bench.repositories.get(test.repo), test.commit, test.name), bench.packages
    if packages is None or old is None or test.name not in packages.installed:
        return None
    upgrade = packages.upgrade(test.name, old)
    try:
        return upgrade, replace(bench.world(), environment=packages.with_upgrade(upgrade))
    except (Unavailable, OtherPackages):
        return None


def _with_value(test: Prediction, reproduction: Reproduction, bench: Bench) -> Iterator[_Run]:
    for recipe in with_names(reproduction.recipe, (test.name,)):
        yield _Run(recipe, bench.world(), f"with {test.name!r} in the record")


def _one_after_the_other(test: Prediction, reproduction: Reproduction, bench: Bench) -> Iterator[_Run]:
    recipe = reproduction.recipe
    if recipe.schedule is None:
        yield _Run(recipe, bench.world(), "with nothing else running")
        return
    alone = recipe.model_copy(update={"schedule": {**recipe.schedule, "before": ALONE}})
    yield _Run(alone, bench.world(), "with one call after the other")


def _with_setting(test: Prediction, reproduction: Reproduction, bench: Bench) -> Iterator[_Run]:
    world = bench.world()
    for sample in SAMPLES:
        env = {**world.layout.env, test.name: str(sample)}
        changed = replace(world, layout=replace(world.layout, env=env))
        yield _Run(reproduction.recipe, changed, f"with {test.name} in the environment")


def _with_package(test: Prediction, reproduction: Reproduction, bench: Bench) -> Iterator[_Run]:
    there = before(bench, test)
    if there is not None:
        upgrade, world = there
        yield _Run(
            reproduction.recipe, world, f"with {upgrade.package} {upgrade.new} in place of {upgrade.old}"
        )


_Maker = Callable[[Prediction, Reproduction, Bench], Iterator[_Run]]
_MAKERS: dict[str, _Maker] = {
    "value": _with_value, "schedule": _one_after_the_other, "setting": _with_setting, "package": _with_package,
}  # fmt: skip
