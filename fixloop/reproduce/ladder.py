"""The entry ladder: the highest rung at which the failure comes back for the same reason.

HTTP through the application's own test client first; a queue's job or a command line; then the functions of the stack,
from the outermost inwards: of each the calls that the event allows, the least guessed first. A call that does not fail
at once is repeated in one run, for state builds up (a warm cache); where the failure looks like a race it is made twice
at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from fixloop.knowledge import LogLine
from fixloop.oracle import ended_well
from fixloop.reproduce.bodies import told_whole
from fixloop.reproduce.catalogue import OwnClass
from fixloop.reproduce.clock import LATER, reads_clock, stopped
from fixloop.reproduce.commands import command_recipes
from fixloop.reproduce.frames import Call, NoCall, OwnFrame, frame_calls, frame_function, redacted_in
from fixloop.reproduce.jobs import as_job, job_recipes
from fixloop.reproduce.objects import Filler
from fixloop.reproduce.races import TOGETHER, met, schedules, suspected, suspensions
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.records import as_records, lacked
from fixloop.reproduce.requests import (
    Application,
    find_applications,
    logged_inputs,
    request_recipes,
    same_moment,
)
from fixloop.reproduce.rows import with_rows
from fixloop.reproduce.same import Signature
from fixloop.reproduce.scene import Scene
from fixloop.reproduce.surroundings import surrounded
from fixloop.reproduce.world import served
from fixloop.reproduce.write import call_source
from fixloop.running.runner import Outcome, Runner
from fixloop.running.worlds import SOURCES
from fixloop.situation import Sighting, Situation

ROWS = 6  # times that a request is asked which rows it lacks
REPEATS = 3  # the same call at most this many times in one run
SIGHTINGS = 5  # events that are tried
APPLICATIONS = 3  # application objects that are tried for one request
FRAMES = 30  # functions of the stack that are tried
FRAME_RUNS = 60  # calls of one function that are tried at most, and …
FEWEST = 15  # … at least, however many functions share the runs
RUNS = 450  # calls of all functions for one event
SECONDS = 150.0  # for all of it
WALL = 10.0  # seconds for one call
HANGS = 3  # calls of one function that may hang before it is given up
STOPPED = 4  # calls of one function that are made with the clock stopped
STANDS_IN = 20  # the cost from which a call has something in it that only stands in for an object
CERTAIN = 3  # the cost up to which a call is repeated where it does not fail at once
COMPANIONS = 2  # other requests of the same moment that are made at once with one
REDACTED = 12  # inputs that are named as redacted
HUNG = "did not end in time"


@dataclass(frozen=True)
class Reproduction:
    """A call that fails for the same reason, and what it gave."""

    recipe: Recipe
    signature: Signature
    outcome: Outcome
    event_id: str


@dataclass(frozen=True)
class NotReproduced:
    """Each try with its result, in words."""

    tried: tuple[str, ...]


def climb(
    situation: Situation, runner: Runner, seconds: float = SECONDS, lines: Sequence[LogLine] = ()
) -> tuple[Reproduction | None, NotReproduced]:
    """Try the rungs on the events until one fails for the same reason, for at most so many seconds. `lines`: what was
    logged near them. The second value tells what was tried."""
    climbing = _Climb(situation, runner, monotonic() + seconds, lines)
    found = climbing.all()
    return found, NotReproduced(tuple(dict.fromkeys(climbing.tried)))


class _Climb:
    """One climb: what was tried, and how long it may go on."""

    def __init__(self, situation: Situation, runner: Runner, until: float, lines: Sequence[LogLine]) -> None:
        self._situation, self._runner, self._until, self._lines = situation, runner, until, lines
        self.tried: list[str] = []
        self._can_stop: bool | None = None  # whether the environment can stop its clock
        self._last: Outcome | None = None  # what the last attempt gave

    def all(self) -> Reproduction | None:
        """The first event that comes back without a guess, else the first that comes back."""
        fallback: Reproduction | None = None
        for sighting in self._situation.sightings[:SIGHTINGS]:
            if sighting.signature is None:
                self.tried.append(f"event {sighting.event.event_id[:8]} has no exception")
                continue
            if not sighting.own:
                where = "no frame of the trace is in a connected repository"
                self.tried.append(f"event {sighting.event.event_id[:8]}: {where}")
                continue
            found = self._http(sighting) or self._entries(sighting) or self._frames(sighting)
            found = found and self._timeless(found, sighting)
            if found and not found.recipe.guessed:
                return found
            fallback = fallback or found
            if fallback and (fallback.recipe.entry != "frame" or monotonic() > self._until):
                break
        return fallback

    def _http(self, sighting: Sighting) -> Reproduction | None:
        request = sighting.event.request
        if request is None or not request.url:
            return None
        trace = [own.module for own in sighting.own]
        apps = find_applications(self._situation.modules, sighting.event, trace, self._situation.layout.env)
        if not apps:
            self.tried.append("the event has a request, but no application object was found in the sources")
        for app in apps[:APPLICATIONS]:
            for recipe in self._requests(app, sighting):
                found = self._attempt(recipe, sighting) or self._with_rows(recipe, sighting)
                found = found or self._then(recipe, sighting) or self._at_once(recipe, sighting)
                if found:
                    return found
        return None

    def _requests(self, app: Application, sighting: Sighting) -> Iterator[Recipe]:
        text = self._situation.modules.get(app.module, ("", ""))[1]
        for recipe in request_recipes(app, sighting.event, lambda: _has_module(self._runner, "httpx")):
            yield from told_whole(recipe, sighting.own, text)

    def _with_rows(self, recipe: Recipe, sighting: Sighting) -> Reproduction | None:
        """The request with the rows in the database that it looks up: a Django application's."""
        for _ in range(ROWS if recipe.framework == "django" else 0):
            fuller = self._fuller(recipe)
            if fuller is None:
                return None
            recipe = fuller
            found = self._attempt(recipe, sighting) or self._then(recipe, sighting)
            found = found or self._at_once(recipe, sighting)
            if found:
                return found
        return None

    def _fuller(self, recipe: Recipe) -> Recipe | None:
        """The recipe with the rows that its call looks up in vain."""
        source = call_source(recipe, lookups=True)
        told = self._runner.run(source, preload=recipe.preload, wall=WALL)[0].value
        own = self._situation.catalogue.classes
        return with_rows(recipe, told, lambda dotted: any(one.dotted == dotted for one in own(dotted)))

    def _at_once(self, recipe: Recipe, sighting: Sighting) -> Reproduction | None:
        """The call twice at once, or with another of the same moment, where the failure looks like a race: the schedule
        that loses."""
        events = [one.event for one in self._situation.sightings]
        if (
            not sighting.own
            or not suspected(sighting.event, events, self._lines)
            or monotonic() > self._until
        ):
            return None
        alone = self._runner.run(call_source(recipe), preload=recipe.preload, wall=WALL, cover=True)[0]
        function = (sighting.own[-1].frame.function or "").rpartition(".")[2]
        if not any(name.rpartition(":")[2].rpartition(".")[2] == function for name in alone.calls):
            return None  # it does not come as far: nothing would be interrupted
        texts = {f"{SOURCES}/{own.location.repo}/{own.location.path}": own.source for own in sighting.own}
        explored = schedules(sighting.own, alone.lines, texts)
        plans = [{"before": before, "lines": len(explored)} for before in explored]
        if recipe.framework in ("starlette", "asgi") and not recipe.inputs.get("uploads"):
            waiting = suspensions(sighting.own, alone.lines, texts)
            plans = [{"before": at, "lines": 2 * len(waiting), "tasks": True} for at in waiting] + plans
        if recipe.entry == "http":  # those that are known to have met come first
            together = list(same_moment(sighting.event, events, TOGETHER))[:COMPANIONS]
            alike, plans = plans, [{**plan, "other": other} for other in together for plan in plans] + plans
            logged = logged_inputs(recipe, met(sighting.event, self._lines))[:COMPANIONS]
            plans += [{**plan, "other": other} for other in logged for plan in alike]
        for schedule in plans:
            if monotonic() > self._until:
                return None
            found = self._attempt(recipe.model_copy(update={"schedule": schedule}), sighting, CERTAIN + 1)
            if found:
                return found
        return None

    def _entries(self, sighting: Sighting) -> Reproduction | None:
        """The job that a worker ran, or the command that a shell started."""
        catalogue, settings = self._situation.catalogue, self._settings
        recipes = [
            *job_recipes(sighting.event, sighting.own, catalogue, settings),
            *command_recipes(sighting.event, sighting.own, catalogue),
        ]
        for recipe in recipes:
            found = self._attempt(recipe, sighting) or self._then(recipe, sighting)
            found = found or self._at_once(recipe, sighting)
            if found:
                return found
        return None

    @property
    def _settings(self) -> str | None:
        return self._situation.layout.env.get("DJANGO_SETTINGS_MODULE")

    def _frames(self, sighting: Sighting) -> Reproduction | None:
        """The outermost function whose call fails the same way, without a stand-in where there is such a one."""
        best: tuple[int, Reproduction] | None = None
        functions = _functions(sighting)
        if gone := [f"{own.frame.function}: {name}" for own in functions for name in redacted_in(own.frame)]:
            self.tried.append(f"redacted, so not there to try with: {', '.join(gone[:REDACTED])}")
        share = min(FRAME_RUNS, max(FEWEST, RUNS // max(1, len(functions))))
        for own in functions:
            calls = frame_calls(own, filler_of(self._situation, sighting, own), self._settings)
            if isinstance(calls, NoCall):
                self.tried.append(f"{own.frame.function} in {own.location.path}: {calls.why}")
                continue
            cheap = [call for call in calls if best is None or call.cost < best[0]]
            best = self._first(_in_surroundings(cheap, sighting, self._situation), sighting, share) or best
            if (best is not None and best[0] < STANDS_IN) or monotonic() > self._until:
                break
        return best[1] if best else None

    def _first(self, calls: list[Call], sighting: Sighting, most: int) -> tuple[int, Reproduction] | None:
        """The first of a function's calls that fails the same way, of `most` that are made. Where the function was not
        even entered, because an object could not be made so, no other call is made on that object."""
        hung, made, unmade, asked = 0, 0, set[str](), set[str]()
        for call in calls:
            if monotonic() > self._until or hung >= HANGS or made >= most:
                break
            objects = json.dumps(call.recipe.inputs.get("objects", ()), sort_keys=True)
            if objects in unmade:
                continue
            made += 1
            found = self._attempt(as_job(call.recipe, sighting.event), sighting, call.cost)
            name = lacked(self._last) if found is None else None
            if name is not None and name not in asked:
                asked.add(name)
                records = as_records(call.recipe, name, self._situation.catalogue)
                found = next(
                    filter(None, (self._attempt(one, sighting, call.cost + 1) for one in records)), None
                )
            if found is not None:
                return call.cost, found
            hung += self.tried[-1].endswith(HUNG)
            if call.recipe.inputs.get("objects") and self._not_entered(call.recipe):
                unmade.add(objects)
        for call in calls[:STOPPED]:
            found = self._then(call.recipe, sighting, call.cost)
            if found is not None:
                return call.cost, found
        return None

    def _not_entered(self, recipe: Recipe) -> bool:
        """Whether the last attempt ended before its function was called: in making the objects that it works on."""
        error = self._last.exception if self._last is not None else None
        if error is None or recipe.target["receiver"] == "new":
            return False
        names = {str(frame["function"]).rpartition(".")[2] for frame in error.frames}
        return str(recipe.target["qualname"]).rpartition(".")[2] not in names and "__init__" in names

    # --- the clock --------------------------------------------------------------------------------------------------

    def _then(self, recipe: Recipe, sighting: Sighting, cost: int = 0) -> Reproduction | None:
        """The call at the moment of the incident, where the code may ask what time it is."""
        if not self._asks_time(sighting) or monotonic() > self._until:
            return None
        return self._attempt(stopped(recipe, sighting.event.timestamp), sighting, cost)

    def _asks_time(self, sighting: Sighting) -> bool:
        if not reads_clock(own.source for own in sighting.own):
            return False
        if self._can_stop is None:
            self._can_stop = _has_module(self._runner, "time_machine")
        return self._can_stop

    def _timeless(self, found: Reproduction, sighting: Sighting) -> Reproduction:
        """The reproduction with the clock stopped where it would not come back on another day."""
        if found.recipe.now is not None or not self._asks_time(sighting):
            return found
        later = stopped(found.recipe, sighting.event.timestamp + LATER)
        if found.signature.matches(self._runner.run(call_source(later), preload=later.preload, wall=WALL)[0]):
            return found
        return self._attempt(stopped(found.recipe, sighting.event.timestamp), sighting) or found

    def _attempt(self, recipe: Recipe, sighting: Sighting, cost: int = 0) -> Reproduction | None:
        wanted, self._last = sighting.signature, None
        recipe = served(recipe, sighting.event, self._situation.catalogue)
        said = ""
        for repeat in range(1, REPEATS + 1 if cost <= CERTAIN else 2):
            candidate = recipe.model_copy(update={"repeat": repeat})
            try:
                source = call_source(candidate)
            except ValueError as refused:  # a name that is none
                self.tried.append(f"{_name(recipe)}: {refused}")
                return None
            outcome = self._last = self._runner.run(source, preload=candidate.preload, wall=WALL)[0]
            is_same = wanted is not None and wanted.matches(outcome)
            way = recipe.entry in ("http", "cli") or cost == 0 or _same_way(sighting, recipe, outcome)
            if wanted is not None and is_same and way:
                signature = replace(wanted, escapes=not ended_well(candidate, outcome))
                return Reproduction(candidate, signature, outcome, sighting.event.event_id)
            said = said or describe(outcome)
            if outcome.status != "ok":
                break  # it fails in another way: the same again would not help
        self.tried.append(f"{_name(recipe)}: {said}")
        return None


def _has_module(runner: Runner, name: str) -> bool:
    return runner.run(f"def call():\n    import {name}\n", watch=False)[0].status == "ok"


def _in_surroundings(calls: list[Call], sighting: Sighting, situation: Situation) -> list[Call]:
    """The calls, with those first that stand in the surroundings that the event shows."""
    found = []
    for call in calls:
        found += [
            Call(recipe, call.cost) for recipe in surrounded(call.recipe, sighting.event, situation.catalogue)
        ]
        found.append(call)
    return found


def _functions(sighting: Sighting) -> list[OwnFrame]:
    """The frames of the stack, outermost first, each function once, where it was entered; of very many the outer and
    the inner ones."""
    found: dict[str, OwnFrame] = {}
    for own in sighting.own:
        if not own.module.endswith("__main__"):
            found.setdefault(f"{own.module}:{own.frame.function}:{own.location.line}", own)
    every = list(found.values())
    return every if len(every) <= FRAMES else [*every[: FRAMES // 2], *every[-FRAMES // 2 :]]


def filler_of(situation: Situation, sighting: Sighting, own: OwnFrame) -> Filler:
    """What can be said of the values around one frame."""
    error = sighting.event.exception
    frames = error.frames if error else (own.frame,)
    catalogue = situation.catalogue
    inner = [
        (one.module, function)
        for one in sighting.own
        if one.index >= own.index and not isinstance(function := frame_function(one), NoCall)
    ]
    nodes = tuple(function.node for _, function in inner)
    kin = tuple(
        OwnClass(module, function.classes[0]) for module, function in inner if len(function.classes) == 1
    )
    message = error.value if error else ""
    return Filler(Scene(frames, own.index, catalogue.class_of, message), catalogue, own.module, nodes, kin)


def _same_way(sighting: Sighting, recipe: Recipe, outcome: Outcome) -> bool:
    """Whether a call that was partly guessed has come to the failure through the functions that the event shows."""
    if sighting.signature is not None and sighting.signature.type == "RecursionError":
        return True  # where the limit is hit is chance
    entry = str(recipe.target["qualname"]).rpartition(".")[2]
    names = [(own.frame.function or "").rpartition(".")[2] for own in sighting.own]
    wanted = names[names.index(entry) :] if entry in names else []
    wanted = [name for name in wanted if not name.startswith("<")]
    return any(
        _in_order(wanted, [frame["function"].rpartition(".")[2] for frame in raised.frames])
        for raised in outcome.seen
        if sighting.signature is not None and sighting.signature.is_it(raised)
    )


def _in_order(wanted: list[str], names: list[str]) -> bool:
    remaining = iter(names)
    return all(name in remaining for name in wanted)


def _name(recipe: Recipe) -> str:
    if recipe.entry == "http":
        request = (
            f"{recipe.inputs['method']} {recipe.inputs['path']} through {recipe.target['module'] or 'django'}"
        )
        return f"{request}, twice at once" if recipe.schedule else request
    return f"{recipe.target['qualname']}() in {recipe.target['module']}"


def describe(outcome: Outcome) -> str:
    """An outcome in a few words, for the record."""
    if outcome.exception is not None:
        return f"raised {outcome.exception.type}: {outcome.exception.message[:120]}"
    if outcome.status == "ok":
        value = outcome.value
        if isinstance(value, dict) and "$tuple" in value and len(value["$tuple"]) == 2:
            return f"answered {value['$tuple'][0]}"
        return "did not fail"
    return {"timeout": HUNG, "died": "the process ended without an answer"}.get(
        outcome.status, outcome.status
    )
