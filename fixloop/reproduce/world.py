"""The world of a call as its capsule has it: answers of other services, rows, random numbers, files, caches, flags and
variables, which a test gives back to the code in the order in which production gave them.

In a recipe it is `inputs["world"]`, so that it is made smaller with the rest of the input: what a failure does not
depend on is not in the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fixloop.reproduce.capsules import DEEPEST, shared_nodes, tree_of
from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.lines import Lines
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.served import (
    ANSWERS,
    CURSORS,
    DRAWN,
    FILES,
    HELPERS_OF_CLIENTS,
    IMPORTS_OF_CLIENTS,
    REDIS,
)
from fixloop.reproduce.typed import Typed
from fixloop.reproduce.values import render
from store.event import Event

PARTS = ("exchanges", "statements", "draws", "environment", "files", "cache", "flags")
MOST = 200  # of one part
# A body is kept decoded, and who sent it when over which connection is nobody's concern.
_CODED = frozenset({"content-encoding", "content-length", "transfer-encoding", "server", "date", "connection",
                    "keep-alive", "via", "age"})  # fmt: skip
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# Variables of the machine and not of the application: a test that sets them changes where it runs.
_MACHINE = re.compile(r"(?:PYTHON|LD_|XDG_|LC_|SENTRY_|PYTEST).*|PATH|HOME|USER|LOGNAME|PWD|SHELL|TERM|LANG|TMPDIR|TEMP"
                      r"|TMP|VIRTUAL_ENV|HOSTNAME|DJANGO_SETTINGS_MODULE")  # fmt: skip
_OPENFEATURE = re.compile(r"^\s*(?:import|from) openfeature\b", re.MULTILINE)
_FACTORIES = ("django", "sqlalchemy", "sqlite3", "psycopg", "psycopg2")

OwnClass = Callable[[str], "str | None"]
Of = Callable[[Any], Any]


def served(recipe: Recipe, event: Event, catalogue: Catalogue) -> Recipe:
    """The call in the world that the event's capsule has of it, with flags that the SDK saw looked up where there is
    no capsule; the call itself where neither is there."""
    content = event.capsule.content if event.capsule else None
    if "world" in recipe.inputs:
        return recipe
    if not content:
        flags = (
            _flags_of(event) if any(_OPENFEATURE.search(text) for text in catalogue.texts.values()) else {}
        )
        return (
            recipe.model_copy(update={"inputs": {**recipe.inputs, "world": {"flags": flags}}})
            if flags
            else recipe
        )
    shared = dict(shared_nodes(content))

    def value(node: Any) -> Any:
        return _value(node, shared, catalogue.class_of)

    told: dict[str, Callable[[], Any]] = {
        "exchanges": lambda: list(_exchanges(content)),
        "statements": lambda: list(_statements(content, value)),
        "draws": lambda: [
            [kind, made] for kind, made in _rows(content, "draws", list) if kind in ("random", "getrandbits")
        ],
        "environment": lambda: dict(_environment(content)),
        "files": lambda: {
            str(one["path"]): one["content"] for one in _rows(content, "files") if isinstance(one.get("content"), str)
        },
        "cache": lambda: list(_cache(content, value)),
        "flags": lambda: {str(one["flag"]): one["result"] for one in _rows(content, "flags") if "at" in one},
    }  # fmt: skip
    world = {}
    for part, tell in told.items():
        try:
            if part in content and (found := tell()):
                _stand_around({part: found}, Lines())  # what cannot be written is none
                world[part] = found
        except (LookupError, TypeError, ValueError, AttributeError):  # whoever sent it: it is no part
            continue
    if zone := zone_of(event):
        world["environment"] = {"TZ": zone, **world.get("environment", {})}
    return recipe.model_copy(update={"inputs": {**recipe.inputs, "world": world}}) if world else recipe


def _flags_of(event: Event) -> dict[str, Any]:
    """The feature flags of the SDK's own context, the last answer of each, as far as OpenFeature can give them."""
    context = event.contexts.get("flags")
    told = context.get("values") if isinstance(context, dict) else None
    return {
        one["flag"]: one["result"]
        for one in (told if isinstance(told, list) else [])[:MOST]
        if isinstance(one, dict)
        and isinstance(one.get("flag"), str)
        and isinstance(one.get("result"), (bool, int, float, str))
    }


# --- out of the capsule -----------------------------------------------------------------------------------------


def _rows(content: Mapping[str, Any], part: str, kind: type = dict) -> list[Any]:
    every = content[part]
    return [one for one in every if isinstance(one, kind)][:MOST] if isinstance(every, list) else []


def _exchanges(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for one in _rows(content, "exchanges"):
        client = str(one.get("client", ""))
        if client not in HELPERS_OF_CLIENTS:
            continue
        asked = {"client": client, "method": str(one["method"]), "url": str(one["url"])}
        if isinstance(one.get("error"), dict):
            kind = str(one["error"]["class"])
            if kind.partition(".")[0] == client:
                yield {**asked, "error": kind, "message": str(one["error"]["message"])}
        elif isinstance(one["status"], int) and one["body"] is not None:
            headers = {str(k): str(v) for k, v in one["headers"].items() if str(k).lower() not in _CODED}
            yield {**asked, "status": one["status"], "headers": headers, "body": one["body"]}


def _statements(content: Mapping[str, Any], value: Of) -> Iterator[dict[str, Any]]:
    for one in _rows(content, "statements"):
        rows = [[value(item) for item in row] for row in one["rows"]]
        if one["by"] in _FACTORIES:
            yield {
                "by": one["by"],
                "sql": " ".join(str(one["sql"]).split()),
                "columns": list(map(str, one["columns"])),
                "rows": rows,
            }


def _environment(content: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for name, value in content["environment"].items():
        if (
            _VARIABLE.fullmatch(name)
            and not _MACHINE.fullmatch(name)
            and (value is None or isinstance(value, str))
        ):
            yield name, value


def _cache(content: Mapping[str, Any], value: Of) -> Iterator[dict[str, Any]]:
    for one in _rows(content, "cache"):
        store, key = str(one["store"]), [value(part) for part in one["name"]]
        if store.startswith("django:") or store == "redis":
            yield {"store": store, "name": key, "value": value(one["value"])}


def _value(node: Any, shared: Mapping[int, Any], own_class: OwnClass) -> Any:
    """The value tree of a node, with what it shares with others written out. Raises ValueError for one that needs
    something made before it."""
    tree = tree_of(Typed(_alone(node, shared, 0)), "value", own_class, lambda module, name: None)
    if tree.objects or "'$hole'" in repr(tree.value):
        raise ValueError("a value that cannot be written")
    return tree.value


def _alone(node: Any, shared: Mapping[int, Any], depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError("a part of itself")
    if isinstance(node, list):
        return [_alone(item, shared, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("$") == "same":
        return _alone(shared[node["id"]], shared, depth + 1)
    inner = {key: item for key, item in node.items() if not ("$" in node and key == "id")}
    return {key: _alone(item, shared, depth + 1) for key, item in inner.items()}


# --- into a test --------------------------------------------------------------------------------------------------


def zone_of(event: Event) -> str | None:
    """The time zone of the process that failed, as TZ says it; None for UTC, and where it is not known."""
    clock = (event.capsule.content or {}).get("clock") if event.capsule else None
    if not isinstance(clock, dict):
        return None
    said, offset = clock.get("tz"), clock.get("offset")
    if isinstance(said, str) and re.fullmatch(r"[A-Za-z0-9_+\-/:]{1,60}", said):
        return said
    if not isinstance(offset, int) or offset == 0 or abs(offset) > 50_400:
        return None
    hours, minutes = divmod(abs(offset) // 60, 60)
    return f"LCL{'-' if offset > 0 else '+'}{hours}:{minutes:02}"


def in_its_world(recipe: Recipe, lines: Lines) -> Lines:
    """The lines of a call with its world around it."""
    _stand_around(recipe.inputs.get("world") or {}, lines)
    return lines


def _stand_around(world: Mapping[str, Any], lines: Lines) -> None:
    if environment := world.get("environment"):
        lines.before_imports = [*_variables(environment, lines), *lines.before_imports]
    heads = [
        *_answering(world.get("exchanges") or [], lines),
        *_reading(world.get("statements") or [], lines),
        *_drawing(world.get("draws") or [], lines),
        *_opening(world.get("files") or {}, lines),
        *_read_of_redis(world.get("cache") or [], lines),
    ]
    lines.setup = [
        *_cached(world.get("cache") or [], lines),
        *_flagged(world.get("flags") or {}, lines),
        *lines.setup,
    ]
    lines.blocks += heads


def _variables(environment: Mapping[str, Any], lines: Lines) -> list[str]:
    found = ["import os"]
    for name, value in environment.items():
        found.append(
            f"os.environ[{name!r}] = {value!r}" if value is not None else f"os.environ.pop({name!r}, None)"
        )
    if "TZ" in environment:
        found = ["import os", "import time", *found[1:], "time.tzset()"]
    return [*found, ""]


def _answering(exchanges: list[dict[str, Any]], lines: Lines) -> list[str]:
    if not exchanges:
        return []
    clients = sorted({str(one["client"]) for one in exchanges})
    lines.imports |= {"base64", "contextlib"}.union(*(IMPORTS_OF_CLIENTS.get(one, {one}) for one in clients))
    lines.froms |= {("unittest", "mock"), ("urllib.parse", "urlsplit")}
    lines.helpers += [ANSWERS, *(HELPERS_OF_CLIENTS[client] for client in clients)]
    found = []
    for client in clients:
        told = ",\n        ".join(_exchange(one, lines) for one in exchanges if one["client"] == client)
        found.append(f"with recorded_{client}(\n        {told},\n    ):")
    return found


def _exchange(one: Mapping[str, Any], lines: Lines) -> str:
    asked = f"{one['method']!r}, {one['url']!r}"
    if "error" in one:
        module, _, _ = str(one["error"]).rpartition(".")
        render({"$name": one["error"]}, set())  # refuses what is no name
        lines.imports.add(module)
        return f"({asked}, {one['error']}({one['message']!r}))"
    return f"({asked}, {int(one['status'])}, {one['headers']!r}, {_body(one['body'])})"


def _body(body: Any) -> str:
    if isinstance(body, dict):
        return f"base64.b64decode({str(body['b64'])!r})"
    return f"{body!r}.encode()"


def _reading(statements: list[dict[str, Any]], lines: Lines) -> list[str]:
    if not statements:
        return []
    lines.imports.add("contextlib")
    lines.froms.add(("unittest", "mock"))
    lines.helpers.append(CURSORS)
    makers = sorted({str(one["by"]) for one in statements})
    told = ",\n        ".join(
        f"({one['sql']!r}, {one['columns']!r}, {render([{'$tuple': row} for row in one['rows']], lines.imports)})"
        for one in statements
    )
    return [f"with recorded_rows({makers!r},\n        {told},\n    ):"]


def _drawing(draws: list[list[Any]], lines: Lines) -> list[str]:
    if not draws:
        return []
    lines.imports |= {"contextlib", "random"}
    lines.helpers.append(DRAWN)
    return [f"with recorded_draws({', '.join(repr((kind, made)) for kind, made in draws)}):"]


def _opening(files: Mapping[str, str], lines: Lines) -> list[str]:
    if not files:
        return []
    lines.imports |= {"builtins", "contextlib", "io", "os"}
    lines.froms.add(("unittest", "mock"))
    lines.helpers.append(FILES)
    return [f"with recorded_files({render(dict(files), lines.imports)}):"]


def _cached(cache: list[dict[str, Any]], lines: Lines) -> list[str]:
    found = []
    for one in cache:
        store, _, alias = str(one["store"]).partition(":")
        if store == "django":
            if not one["name"]:
                raise ValueError("an entry without a key")
            lines.froms.add(("django.core.cache", "caches"))
            key, value = render(one["name"][0], lines.imports), render(one["value"], lines.imports)
            found.append(f"caches[{alias!r}].set({key}, {value})")
    return found


def _read_of_redis(cache: list[dict[str, Any]], lines: Lines) -> list[str]:
    read = [one for one in cache if one["store"] == "redis"]
    if not read:
        return []
    lines.imports |= {"contextlib", "redis"}
    lines.froms.add(("unittest", "mock"))
    lines.helpers.append(REDIS)
    told = ",\n        ".join(
        f"({render({'$tuple': one['name']}, lines.imports)}, {render(one['value'], lines.imports)})"
        for one in read
    )
    return [f"with recorded_redis(\n        {told},\n    ):"]


def _flagged(flags: Mapping[str, Any], lines: Lines) -> list[str]:
    if not flags:
        return []
    lines.froms |= {("openfeature", "api"), ("openfeature.provider.in_memory_provider", "InMemoryFlag"),
                    ("openfeature.provider.in_memory_provider", "InMemoryProvider")}  # fmt: skip
    each = ", ".join(
        f"{name!r}: InMemoryFlag('then', {{'then': {render(value, lines.imports)}}})"
        for name, value in flags.items()
    )
    return [f"api.set_provider(InMemoryProvider({{{each}}}))"]
