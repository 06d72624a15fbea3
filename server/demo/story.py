"""The demo's story: a world is made, it crashes, Nightdesk takes it from there. It prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

from server.demo.desk import Desk
from server.demo.running import DemoStopped
from server.demo.traffic import Sent, deploy, send
from server.demo.world import World, make, plan_of

PROVEN = "proven"
Say = Callable[[str, str], None]  # a step's name and what happened


@dataclass
class Told:
    """What the demo has seen, for the end and for `--json`."""

    world: World
    sent: Sent
    noise: list[dict[str, Any]]
    focus: list[dict[str, Any]]
    incident: dict[str, Any]
    approved: bool = False  # the demo answered for the person
    no_sandbox: str | None = None  # why nothing was run
    ranked: list[dict[str, Any]] = field(default_factory=list)  # candidates that were not run
    seconds: float = 0.0

    @property
    def proven(self) -> bool:
        """Whether the fix was proven and its draft is there."""
        validation = self.incident["validation"] or {}
        return validation.get("verdict") == PROVEN and bool(self.incident["drafts"])


def tell(desk: Desk, folder: Path, seed: int | None, say: Say) -> Told:
    """The whole story on a desk that is open. `folder` holds what is made. Raises DemoStopped."""
    started = perf_counter()
    world = _world(desk, folder, seed)
    plan = world.plan
    say(
        "made",
        f"{plan.service}, a web application, and {plan.library}, the library it uses, each a git repository",
    )
    dsn = _connect(desk, world)
    say("connected", f"both repositories and {len(world.releases)} releases; {world.running.version} runs")
    env = deploy(world, folder / plan.service / "container") | {"SENTRY_DSN": dsn}
    sent = send(world, folder / plan.service / "container", env, folder / plan.service)
    heard = f"{sent.good} requests went well, {sent.crashes} crashed, {sent.noise} events of noise came along"
    say("traffic", f"{heard}, all reported by the real sentry-sdk")
    rows = desk.incidents(plan.service, sent.crashes + sent.noise)
    noise = [row for row in rows if row["lane"] == "noise"]
    focus = [row for row in rows if row["lane"] == "focus"]
    for line in set_aside(noise):
        say("set aside", line)
    if not focus:
        raise DemoStopped("No incident is in focus: the crash was not recognised.")
    first = focus[0]
    say("in focus", f"{first['id']} {first['title']} ({first['why']})")
    desk.repair(first["id"], lambda took, step, said: say(step, f"{said}  [{took} s]"))
    told = Told(world, sent, noise, focus, desk.ask("show", first["id"]))
    _draft(desk, told, say)
    told.seconds = round(perf_counter() - started, 1)
    return told


def set_aside(noise: list[dict[str, Any]]) -> Iterator[str]:
    """Each rule with the events that it has set aside, and its sentence."""
    rules: dict[str, list[dict[str, Any]]] = {}
    for row in noise:
        rules.setdefault(row["verdict"]["reasons"][0].partition(": ")[0], []).append(row)
    for rule, rows in sorted(rules.items(), key=lambda item: -sum(row["event_count"] for row in item[1])):
        events = sum(row["event_count"] for row in rows)
        yield f"{events:>2} by the rule {rule}: {rows[0]['verdict']['reasons'][0].partition(': ')[2]}"


def _world(desk: Desk, folder: Path, seed: int | None) -> World:
    """A world whose names are not taken on this desk: by the seed that is given, else the first that fits."""
    taken = {row["name"] for row in (*desk.ask("project", "list"), *desk.ask("repo", "list"))}
    now = datetime.now(UTC).replace(microsecond=0)
    for candidate in count(1) if seed is None else (seed,):
        plan = plan_of(candidate)
        if taken.isdisjoint((plan.service, plan.library)):
            (folder / plan.service).mkdir(parents=True)
            return make(folder / plan.service, candidate, now)
    raise DemoStopped(f"The world of seed {seed} is here already: take another seed, or another folder.")


def _connect(desk: Desk, world: World) -> str:
    """The project, its repositories and releases. Returns its DSN."""
    project = world.plan.service

    def repository(name: str) -> None:
        desk.ask("repo", "add", name, str(world.repositories[name]), "--project", project)

    def release(number: int) -> None:
        row = world.releases[number]
        commits = [word for repo, sha in row.commits.items() for word in ("--repo", f"{repo}={sha}")]
        since = ("--environment", "production", "--at", row.at.isoformat())
        desk.ask("release", "add", row.version, *commits, *since, "--project", project)

    desk.ask("project", "add", project)
    with ThreadPoolExecutor(max_workers=2) as both:
        list(both.map(repository, world.repositories))
        list(both.map(release, range(len(world.releases))))
    return next(str(row["dsn"]) for row in desk.ask("project", "list") if row["name"] == project)


def _draft(desk: Desk, told: Told, say: Say) -> None:
    """The draft, where the policy asked for a person; or how far one comes without a sandbox."""
    incident = told.incident
    validation = incident["validation"] or {}
    if validation.get("verdict") == PROVEN and not incident["drafts"]:
        say("draft", "the policy asks for a person; the demo answers yes for you (`nightdesk draft --yes`)")
        desk.ask("draft", incident["id"], "--yes")
        told.approved = True
        told.incident = desk.ask("show", incident["id"])
    elif validation.get("verdict") != PROVEN:
        told.no_sandbox = _no_sandbox(desk)
        if told.no_sandbox:
            told.ranked = desk.ask("causes", incident["id"], codes=(0, 3))


def _no_sandbox(desk: Desk) -> str | None:
    """Why no sandbox runs here; None where one does."""
    checks = desk.ask("doctor", codes=(0, 1))
    return next((str(c["said"]) for c in checks if c["part"] == "sandbox" and c["state"] != "ok"), None)
