"""Variables of the environment and feature flags as they were when the failure happened."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fixloop.reproduce.lines import Lines, pretty
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.values import FILTERED
from store.event import Event

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
_OURS = re.compile(
    r"(?:ND_|LD_|PYTHON|PATH$|HOME$|TMPDIR$|DJANGO_SETTINGS_MODULE$)"
)  # how the sandbox runs is ours
_OPENFEATURE = re.compile(r"^\s*(?:import|from) openfeature\b", re.MULTILINE)
MOST = 60  # variables, and flags


def environment_of(event: Event, texts: Iterable[str]) -> dict[str, str]:
    """The variables that an event's capsule tells and that the code reads by their names."""
    content = event.capsule.content if event.capsule else None
    told = content.get("environment") if content else None
    named = {
        name: value
        for name, value in (told.items() if isinstance(told, dict) else ())
        if isinstance(value, str)
        and _NAME.fullmatch(name)
        and not _OURS.match(name)
        and value not in FILTERED
    }
    read = {name for text in texts for name in named if f'"{name}"' in text or f"'{name}'" in text}
    return {name: named[name] for name in sorted(read)[:MOST]}


def flags_of(event: Event) -> dict[str, Any]:
    """The feature flags that were looked up, the last answer of each: those of the SDK and those of a capsule."""
    content = event.capsule.content if event.capsule else None
    context = event.contexts.get("flags")
    lists = (
        context.get("values") if isinstance(context, dict) else None,
        content.get("flags") if content else None,
    )
    found = {name: value for one in lists for name, value in _flags(one)}
    return dict(list(found.items())[:MOST])


def _flags(told: Any) -> Iterator[tuple[str, Any]]:
    for one in told if isinstance(told, list) else ():
        row: Mapping[str, Any] = one if isinstance(one, dict) else {}
        name, value = row.get("flag", row.get("name")), row.get("result", row.get("value"))
        if isinstance(name, str) and isinstance(value, (bool, int, float, str)):
            yield name, value


def with_ambient(recipe: Recipe, event: Event, texts: Mapping[str, str]) -> Recipe:
    """The call with the variables that its code reads, and with the flags, where it looks them up by OpenFeature.
    `texts`: module -> source of the team's code."""
    if "env" in recipe.inputs or "flags" in recipe.inputs:
        return recipe
    env, flags = environment_of(event, texts.values()), flags_of(event)
    more: dict[str, Any] = {"env": env} if env else {}
    if flags and any(_OPENFEATURE.search(text) for text in texts.values()):
        more["flags"] = flags
    return recipe.model_copy(update={"inputs": {**recipe.inputs, **more}}) if more else recipe


def ambient_lines(recipe: Recipe, lines: Lines) -> Lines:
    """The lines with what sets variables before the application is imported, and flags before it is called."""
    env, flags = recipe.inputs.get("env"), recipe.inputs.get("flags")
    if env:
        rest = lines.before_imports[2:] if lines.before_imports[:1] == ["import os"] else lines.before_imports
        lines.before_imports = ["import os", "", f"os.environ.update({env!r})", "", *rest]
    if flags:
        lines.froms |= {
            ("openfeature", "api"),
            ("openfeature.provider.in_memory_provider", "InMemoryFlag"),
            ("openfeature.provider.in_memory_provider", "InMemoryProvider"),
        }
        lines.setup.insert(0, f"flags = {pretty(flags, lines.imports)}")
        made = '{name: InMemoryFlag("seen", {"seen": value}) for name, value in flags.items()}'
        lines.setup.insert(1, f"api.set_provider(InMemoryProvider({made}))")
    return lines
