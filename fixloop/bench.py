"""The workbench of one repair: the tools, handed in, and the worlds that are made with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from time import monotonic

from fixloop import Repositories, Sandbox
from fixloop.changes.pull_requests import Asked, nobody
from fixloop.changes.words import Exposure
from fixloop.knowledge import Knowledge
from fixloop.running.databases import server_for
from fixloop.running.environments import Environment
from fixloop.running.kept import Kept
from fixloop.running.packages import Packages
from fixloop.running.runner import Runner
from fixloop.running.worlds import Layout, Server, Trees, World
from store.errors import BudgetSpent

RESERVE = 0.45  # of the seconds that are left when a search begins


@dataclass
class Budget:
    """Wall-clock seconds for one attempt."""

    seconds: float = 900.0
    started: float = field(default_factory=monotonic)

    @property
    def left(self) -> float:
        return self.seconds - (monotonic() - self.started)

    @property
    def tight(self) -> bool:
        """Whether a search has to end, so that what it found can still be written down and used."""
        return self.left < RESERVE * self.seconds

    def check(self) -> None:
        if self.left <= 0:
            raise BudgetSpent(f"the {self.seconds:.0f} seconds of this attempt are used up")


@dataclass
class Bench:
    """Everything a repair works with. `exposed` tells since when a commit runs, where that is
    known; with `packages` the environment can be had with a package in another version."""

    repositories: Repositories
    sandbox: Sandbox
    environment: Environment
    layout: Layout
    trees: Trees
    now: Callable[[], datetime]
    exposed: Mapping[tuple[str, str], Exposure] = field(default_factory=dict)
    asked: Asked = nobody  # which pull request brought a commit, where a forge can be asked
    protected: tuple[str, ...] = ()  # paths that a patch may not touch, by configuration
    address: str = ""  # of the house, where people open the incident
    runs: int = 200
    budget: Budget = field(default_factory=Budget)
    knowledge: Knowledge = field(default_factory=Knowledge)
    kept: Kept | None = None  # what earlier attempts have run; None: everything is run anew
    packages: Packages | None = None

    def world(self, **commits: str) -> World:
        """The running release; repositories named in `commits` at another commit."""
        trees: dict[str, Path] = {}
        for repo in self.layout.repositories:
            trees[repo.name] = self.trees.at(repo.name, commits.get(repo.name, repo.commit))
        return World(self.layout, trees, self.environment, self._server)

    @cached_property
    def _server(self) -> Server | None:
        return server_for(self.repositories, self.layout, self.environment, self.sandbox)

    def at(self, repo: str, commit: str) -> World:
        """The running release with one repository at another commit."""
        return self.world().with_tree(repo, self.trees.at(repo, commit))

    def runner(self, world: World) -> Runner:
        """A runner in that world; raises BudgetSpent when the time is up."""
        self.budget.check()
        return Runner(self.sandbox, world, wall=max(10.0, min(300.0, self.budget.left)))
