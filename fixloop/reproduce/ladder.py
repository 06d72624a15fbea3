"""The entry ladder: the highest rung at which the failure comes back for the same reason.

HTTP through the application's own test client first; then the functions of the stack, from the innermost outwards, of
which the outermost that fails the same way is kept. A call that does not fail at once is repeated in one run, for
state builds up (a warm cache).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fixloop.reproduce.frames import NoCall, frame_recipe
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.requests import find_applications, request_recipe
from fixloop.reproduce.same import Signature
from fixloop.reproduce.write import call_source
from fixloop.runner import Outcome, Runner
from fixloop.situation import Sighting, Situation

REPEATS = 3  # the same call at most this many times in one run
SIGHTINGS = 5  # events that are tried
APPLICATIONS = 3  # application objects that are tried for one request


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


def climb(situation: Situation, runner: Runner) -> tuple[Reproduction | None, NotReproduced]:
    """Try the rungs on the events until one fails for the same reason. The second value tells what was tried."""
    tried: list[str] = []
    fallback: Reproduction | None = None
    for sighting in situation.sightings[:SIGHTINGS]:
        if sighting.signature is None:
            tried.append(f"event {sighting.event.event_id[:8]} has no exception")
            continue
        if not sighting.own:
            tried.append(
                f"event {sighting.event.event_id[:8]}: no frame of the trace is in a connected repository"
            )
            continue
        found = _http(situation, sighting, runner, tried) or _frames(situation, sighting, runner, tried)
        if found and not found.recipe.guessed:
            return found, NotReproduced(tuple(tried))
        fallback = fallback or found
        if fallback and fallback.recipe.entry == "http":
            break
    return fallback, NotReproduced(tuple(dict.fromkeys(tried)))


def _http(situation: Situation, sighting: Sighting, runner: Runner, tried: list[str]) -> Reproduction | None:
    request = sighting.event.request
    if request is None or not request.url:
        return None
    env = situation.layout.env
    trace = [own.module for own in sighting.own]
    apps = find_applications(situation.modules, sighting.event, trace, env)
    if not apps:
        tried.append("the event has a request, but no application object was found in the sources")
    for app in apps[:APPLICATIONS]:
        recipe = request_recipe(app, request, lambda: _has_module(runner, "httpx"))
        found = _attempt(recipe, sighting, runner, tried)
        if found:
            return found
    return None


def _has_module(runner: Runner, name: str) -> bool:
    return runner.run(f"def call():\n    import {name}\n", watch=False)[0].status == "ok"


def _frames(
    situation: Situation, sighting: Sighting, runner: Runner, tried: list[str]
) -> Reproduction | None:
    best: Reproduction | None = None
    for recipe in _frame_recipes(situation, sighting, tried):
        found = _attempt(recipe, sighting, runner, tried)
        if found and (best is None or len(found.recipe.guessed) <= len(best.recipe.guessed)):
            best = found
    return best


def _frame_recipes(situation: Situation, sighting: Sighting, tried: list[str]) -> Iterator[Recipe]:
    """Calls of the stack's functions, innermost first, each function once."""
    seen: set[str] = set()
    settings = situation.layout.env.get("DJANGO_SETTINGS_MODULE")
    for own in reversed(sighting.own[-30:]):
        key = f"{own.module}:{own.frame.function}"
        if key in seen or own.module.endswith("__main__"):
            continue
        seen.add(key)
        recipe = frame_recipe(own, situation.own_class, settings)
        if isinstance(recipe, NoCall):
            tried.append(f"{own.frame.function} in {own.location.path}: {recipe.why}")
        else:
            yield recipe


def _attempt(recipe: Recipe, sighting: Sighting, runner: Runner, tried: list[str]) -> Reproduction | None:
    wanted = sighting.signature
    said = ""
    for repeat in range(1, REPEATS + 1):
        candidate = recipe.model_copy(update={"repeat": repeat})
        outcome = runner.run(call_source(candidate), preload=candidate.preload)[0]
        if wanted is not None and wanted.matches(outcome):
            return Reproduction(candidate, wanted, outcome, sighting.event.event_id)
        said = said or describe(outcome)
        if outcome.status != "ok":
            break  # it fails in another way: the same again would not help
    tried.append(f"{_name(recipe)}: {said}")
    return None


def _name(recipe: Recipe) -> str:
    if recipe.entry == "http":
        return (
            f"{recipe.inputs['method']} {recipe.inputs['path']} through {recipe.target['module'] or 'django'}"
        )
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
    return {"timeout": "did not end in time", "died": "the process ended without an answer"}.get(
        outcome.status, outcome.status
    )
