"""A recipe: one call of the application as a value. It can be minimised, run anywhere and written as a
test."""

from __future__ import annotations

from typing import Any

from fixloop.reproduce.values import placed
from store.event import Value

_LOADED = {"flask": "flask", "django": "django.test", "starlette": "starlette.testclient"}


class Recipe(Value):
    """One call. `entry` names the rung of the ladder: "http" goes through the application's own test client,
    "frame" calls a function of the stack.

    `target` for http: {"framework", "module", "attribute", "factory", "settings", "starts"} (whether what the
    application does when it starts is a part of it);
    for frame: {"module", "qualname", "receiver", "wrap"}: `receiver` is None, "new" (the constructor itself is
    called), "value" or "property" (of what is in `inputs["self"]`), `wrap` is None, "list" (a generator is
    consumed), "collect" (an asynchronous one), "with" or "await"; "handling" lists exceptions in whose handler the
    call is made. `inputs` is a value tree (see `values`); http: {"method", "path", "query", "headers",
    "json" | "form" | "body", "uploads": [{"field", "name", "content"}], "rows": [{"model", "name", "fields"}]};
    frame: {"args": [...], "kwargs": {...}, "self", "files": {path: content},
    "objects": [...]}, the last made before the call, in order: {"name", "call" + "args" + "kwargs" | "value" |
    "of" (an earlier one), "calls": [[method, args, kwargs, whether its result takes the object's place]],
    "set": {attribute: value}, "state": {attribute: value}, put there past any setter}.
    "world" is what the call met in production (see `world`).
    Jobs ("job") are written as frames are, by the queue's own call where "framework" names one; so are commands
    ("cli"), whose words are in `inputs["argv"]`.
    """

    entry: str
    repo: str
    target: dict[str, Any]
    inputs: dict[str, Any]
    repeat: int = (
        1  # the same call this many times in one run: state that builds up (a cache) is part of the failure
    )
    yesterday: int = 0  # run with names put back: 1, those that newer Pythons removed; 2, Python 2's as well
    now: str | None = None  # the moment, ISO 8601, at which the clock stands
    schedule: dict[str, Any] | None = (
        None  # {"before", "lines"}: twice at once, or with the inputs "other" (see `interleaving`)
    )
    guessed: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()

    @property
    def framework(self) -> str:
        return str(self.target.get("framework", "python"))

    def _libraries(self) -> list[str]:
        """What a call in a world loads beside the application: its framework, and what it asks others by."""
        world = self.inputs["world"]
        found = [_LOADED[self.framework]] if self.framework in _LOADED else []
        found += [str(one["client"]) for one in world.get("exchanges", ())]
        found += ["sqlalchemy.orm" for one in world.get("statements", ()) if one["by"] == "sqlalchemy"]
        return list(dict.fromkeys(found))

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that a warm runner imports once, before it forks."""
        clock = ("time_machine",) if self.now else ()
        if "world" in self.inputs:  # variables have to be set before the application's modules are loaded
            return (*clock, *self._libraries())
        # the application's own modules need settings first: the framework has to do
        if self.target.get("settings"):
            return (
                *clock,
                "django.test",
                "django.db.models",
                "django.http",
                "django.urls",
                "django.template",
            )
        made = [placed(str(one["call"]))[0] for one in self.inputs.get("objects", ()) if "call" in one]
        named = [str(self.target["module"]), *made] if self.target.get("module") else []
        return tuple(dict.fromkeys([*clock, *named]))
