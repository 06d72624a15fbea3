"""Jobs of a queue: the function and the payload that the event's own context names.

What an integration reports (Celery, RQ, Huey, arq, Dramatiq) says which task was run with which arguments, as values
and not as reprs. Where there is no integration, a payload that the team put into the event is recognised by being an
argument of a function on the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.syntax import Function, functions
from fixloop.reproduce.values import FILTERED, plain, rebuild
from store.event import Event

# Where an integration puts its job: (place in `extra` or `contexts`, name of the task, arguments).
_KEPT = (
    ("celery-job", "task_name"),
    ("rq-job", "func"),
    ("huey-job", "task"),
    ("arq-job", "task"),
    ("dramatiq", "actor_name"),
)
_KNOWN = frozenset({
    "trace", "runtime", "os", "device", "app", "browser", "gpu", "culture", "cloud_resource", "response", "flags",
    "profile", "replay", "baggage", "sys.argv", "character_encoding", *(place for place, _ in _KEPT),
})  # fmt: skip
_CONSTRUCTED = re.compile(r"(?:datetime\.\w+|Decimal|UUID|(?:Pure)?PosixPath)\(.*\)", re.DOTALL)
_FRAMEWORKS = {
    "celery-job": "celery",
    "huey-job": "huey",
    "arq-job": "arq",
}  # the others call the function itself


def job_recipes(
    event: Event, own: Sequence[OwnFrame], catalogue: Catalogue, settings: str | None
) -> Iterator[Recipe]:
    """Calls of the task that the event names."""
    for place, word in _KEPT:
        job = _job(event, place)
        name = str(job.get(word) or job.get("task") or event.transaction or "")
        if not job or "args" not in job or job.get("args") in FILTERED:
            continue
        for module, function in _tasks(name, own, catalogue):
            yield _recipe(_FRAMEWORKS.get(place, "python"), job, module, function, own, settings)


def _job(event: Event, place: str) -> Mapping[str, Any]:
    """What an integration kept of the job, however deep it lies."""
    for holder in (event.extra, event.contexts):
        kept = holder.get(place)
        if isinstance(kept, dict):
            inner = kept.get("data")
            return inner if isinstance(inner, dict) else kept
    return {}


def _tasks(name: str, own: Sequence[OwnFrame], catalogue: Catalogue) -> Iterator[tuple[str, Function]]:
    """Top-level functions that a task's name may mean: the one at that path, else one of that name on the stack."""
    module, _, last = name.rpartition(".")
    on_stack = [frame.module for frame in own]
    places = dict.fromkeys([*([module] if module in catalogue.texts else []), *on_stack])
    for place in places:
        tree = catalogue.tree(place)
        for function in functions(tree) if tree else ():
            if function.qualname == last and not function.nested:
                yield place, function


def _recipe(
    framework: str, job: Mapping[str, Any], module: str, function: Function, own: Sequence[OwnFrame],
    settings: str | None,
) -> Recipe:  # fmt: skip
    args, kwargs = job.get("args"), job.get("kwargs")
    words = {str(key): _value(item) for key, item in kwargs.items()} if isinstance(kwargs, dict) else {}
    given = [_value(item) for item in args] if isinstance(args, (list, tuple)) else []
    if framework == "arq":  # its first argument is the worker's own
        framework, given = "python", [{}, *given]
    if framework == "celery" and not function.decorators & {"task", "shared_task"}:
        framework = "python"
    target: dict[str, Any] = {
        "framework": framework, "module": module, "qualname": function.qualname, "receiver": None,
        "wrap": "await" if function.is_async else None,
    }  # fmt: skip
    if settings:
        target["settings"] = settings
    redacted = tuple(_redacted({"args": args, "kwargs": kwargs}, "job"))
    repo = own[-1].location.repo
    inputs = {"args": given, "kwargs": words}
    return Recipe(entry="job", repo=repo, target=target, inputs=inputs, redacted=redacted)


def _value(kept: Any) -> Any:
    """A value as it was sent; what JSON has no word for is kept by the SDK as its repr."""
    if isinstance(kept, str) and _CONSTRUCTED.fullmatch(kept):
        built = rebuild(kept, "argument")
        return built.value if built.ok else kept
    return plain(kept)


def _redacted(value: Any, path: str) -> Iterator[str]:
    if value in FILTERED if isinstance(value, str) else False:
        yield path
    elif isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in pairs:
            yield from _redacted(part, f"{path}.{key}")


# --- without an integration -------------------------------------------------------------------------------------


def as_job(recipe: Recipe, event: Event) -> Recipe:
    """The call as the job that it is, where one of its arguments is a payload that the event carries: by value, and
    not by its repr. Any other call as it was."""
    for payload in _payloads(event):
        inputs = recipe.inputs
        args = [payload if _is(arg, payload) else arg for arg in inputs.get("args", ())]
        words = {key: payload if _is(arg, payload) else arg for key, arg in inputs.get("kwargs", {}).items()}
        if any(_is(arg, payload) for arg in (*inputs.get("args", ()), *inputs.get("kwargs", {}).values())):
            changed = {"entry": "job", "inputs": {**inputs, "args": args, "kwargs": words}}
            return recipe.model_copy(update=changed)
    return recipe


def _payloads(event: Event) -> Iterator[Any]:
    """Mappings in what the team added to the event, outer before inner."""
    pending: list[Any] = [
        value
        for holder in (event.contexts, event.extra)
        for key, value in holder.items()
        if key not in _KNOWN
    ]
    while pending:
        value = pending.pop(0)
        if isinstance(value, dict) and value:
            yield plain(value)
            pending += [part for part in value.values() if isinstance(part, dict)]


def _is(argument: Any, payload: Any) -> bool:
    return isinstance(argument, dict) and bool(argument) and argument == payload
