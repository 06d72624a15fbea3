"""What is run for a verdict: the reproducer, the same call in other surroundings, the family of its input.

The code under judgement is never imported by the process that answers us: own modules are loaded in the fork
of the single run; only modules from outside the patch's reach are loaded beforehand. Names, arguments and
file names differ from run to run, so that code cannot know a run that counts from one that does not.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fixloop.bench import Bench
from fixloop.judging.compare import told
from fixloop.judging.neighbours import Words, neighbours, words_of
from fixloop.oracle import Meaning, Reading, ended_well
from fixloop.reproduce.calling import called
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.same import Signature
from fixloop.reproduce.write import call_source, is_call
from fixloop.running.runner import Outcome, Runner
from fixloop.running.worlds import SOURCES, World
from store.repair import Reproducer

# A run may take so many times as long as the release's call; seconds. A test that loads pytest for the first time on a
# busy machine took more than six.
PATIENCE, LEAST, MOST = 30, 20.0, 60.0
AGAIN = 2  # further calls in the same run: state that a patch keeps between calls shows

# What a run can look like from the inside. Code that answers differently knows that it is tested.
SURROUNDINGS: Mapping[str, Mapping[str, Any]] = {
    "as under a test runner": {
        "env": {
            "PYTEST_CURRENT_TEST": "tests/test_orders.py::test_total (call)",
            "PYTEST_VERSION": "9.0.0",
            "CI": "true",
        },
        "argv": ["/usr/local/bin/pytest", "-q"],
        "modules": ["pytest", "_pytest", "nose", "freezegun"],
    },
    "as under a server": {
        "env": {"SERVER_SOFTWARE": "gunicorn/23.0.0", "HOSTNAME": "web-7c9f", "PORT": "8000"},
        "argv": ["/usr/local/bin/gunicorn", "app:app"],
        "cwd": "/",
    },
}


@dataclass(frozen=True)
class Trial:
    """What a patch is judged against: the reproducer and all that is known of right and wrong. `parents` is
    the world in which the answer was right (the proven cause's parent), where there is one."""

    reproducer: Reproducer
    recipe: Recipe
    signature: Signature
    expected: Any = None
    parents: World | None = None
    modules: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Neighbour:
    """One input of the family with what the release and the proven cause's parent make of it."""

    recipe: Recipe
    before: Reading
    parent: Reading | None
    failed: bool  # the release's call ended in an error


class Witness:
    """Runs the calls of one trial. What does not depend on the patch is run once and kept."""

    def __init__(self, bench: Bench, trial: Trial) -> None:
        self.base = bench.world()
        self._bench, self._trial = bench, trial
        self._outside: tuple[str, ...] | None = None
        self._first: Outcome | None = None
        self._family: list[Neighbour] | None = None
        self._surroundings: dict[str, Mapping[str, Any]] | None = None
        self._again: Reading | None = None
        self._open: tuple[World, Runner] | None = None

    def close(self) -> None:
        """End what still runs."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _runner(self, world: World) -> Runner:
        """A runner that has loaded none of the team's code; kept open as long as the next run is in the same
        world."""
        if self._open is None or self._open[0] != world:
            self.close()
            self._open = (world, self._bench.runner(world))
        return self._open[1]

    # --- single runs ----------------------------------------------------------------------------------------

    def test(self, world: World, times: int = 1, *, warm: bool = False) -> list[Outcome]:
        """The reproducer, its function under a name of no meaning. `warm` loads the application
        once for all runs, in a process of their own."""
        source, function = called(self._trial.reproducer, f"test_{secrets.token_hex(4)}")
        about = {"times": times, "watch": False, "preload": self.outside(), "wall": self._wall()}
        return self._runner(world).run(source, function, warm=warm, **about)  # type: ignore[arg-type]

    def calls(
        self,
        world: World,
        recipes: Sequence[Recipe],
        *,
        cover: bool = False,
        surroundings: Mapping[str, Any] | None = None,
    ) -> list[Outcome]:
        """Each recipe once, watched, each in a process that has loaded nothing of the team's code."""
        about = {
            "preload": self.outside(),
            "wall": self._wall(),
            "cover": cover,
            "surroundings": surroundings,
        }
        runner = self._runner(world)
        return [runner.run(call_source(recipe), **about)[0] for recipe in recipes]  # type: ignore[arg-type]

    def read(self, recipe: Recipe, outcome: Outcome, failed_before: bool = False) -> Reading:
        return told(recipe, self._trial.signature, outcome, self._trial.modules, failed_before)

    def _wall(self) -> float:
        """Seconds that one run may take."""
        return min(MOST, max(LEAST, PATIENCE * self.first().took))

    # --- what is known of the release -----------------------------------------------------------------------

    def outside(self) -> tuple[str, ...]:
        """Modules from outside the team's code that the call loads: the same for every world, loaded
        beforehand; none where the release behaves differently with them."""
        if self._outside is None:
            recipe = self._trial.recipe
            runner = self._runner(self.base)
            plain = runner.run(call_source(recipe), cover=True)[0]
            loaded = runner.run(call_source(recipe), preload=plain.modules)[0]
            agree = self.read(recipe, plain) == self.read(recipe, loaded)
            self._outside = plain.modules if agree else ()
            self._first = plain
        return self._outside

    def first(self) -> Outcome:
        """The call on the release, with its lines."""
        self.outside()
        assert self._first is not None  # noqa: S101 - outside() has set it
        return self._first

    @property
    def failed(self) -> bool:
        """Whether the release's call ends in an error (it may also be caught, and answered)."""
        return not ended_well(self._trial.recipe, self.first())

    def surroundings(self) -> Mapping[str, Mapping[str, Any]]:
        """Those surroundings in which the release fails as ever: an application may well know its own test
        mode."""
        if self._surroundings is None:
            self._surroundings = {}
            for name, about in SURROUNDINGS.items():
                outcome = self.calls(self.base, [self._trial.recipe], surroundings=about)[0]
                if self.read(self._trial.recipe, outcome).meaning == Meaning.SAME:
                    self._surroundings[name] = about
        return self._surroundings

    def again(self) -> tuple[Recipe, Reading | None]:
        """The call several times in one process, and what the proven cause's parent gives the last time."""
        recipe = self._trial.recipe.model_copy(update={"repeat": self._trial.recipe.repeat + AGAIN})
        if self._again is None and self._trial.parents is not None:
            self._again = self.read(recipe, self.calls(self._trial.parents, [recipe])[0])
        return recipe, self._again

    def family(self) -> list[Neighbour]:
        """The neighbours of the input whose answer on the release is the same each time."""
        if self._family is None:
            recipes = list(filter(is_call, neighbours(self._trial.recipe, self._words())))
            outcomes = self.calls(self.base, recipes)
            before = [self.read(r, o) for r, o in zip(recipes, outcomes, strict=True)]
            again = [self.read(r, o) for r, o in zip(recipes, self.calls(self.base, recipes), strict=True)]
            parents: Sequence[Reading | None] = [None] * len(recipes)
            if self._trial.parents is not None:
                answers = self.calls(self._trial.parents, recipes)
                parents = [self.read(r, o) for r, o in zip(recipes, answers, strict=True)]
            self._family = [
                Neighbour(recipe, b, p, not ended_well(recipe, outcome))
                for recipe, outcome, b, a, p in zip(recipes, outcomes, before, again, parents, strict=True)
                if (b.meaning, b.expected) == (a.meaning, a.expected)  # what differs by itself says nothing
            ]
        return self._family

    def spoken(self) -> tuple[str, ...]:
        """What the executed files speak of already."""
        words = self._words()
        return (*words.keys, *words.values)

    def _words(self) -> Words:
        """The names and values that the executed files speak of."""
        texts = []
        for path in sorted(self.first().lines):
            repo, _, inside = path.removeprefix(SOURCES + "/").partition("/")
            place = self.base.trees[repo] / inside if repo in self.base.trees else None
            if place is not None and place.is_file():
                texts.append(place.read_text("utf-8", "replace"))
        return words_of(texts)
