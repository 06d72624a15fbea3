"""From an event's HTTP request to a call through the application's own test client.

The application object is found in the team's sources: by what the command line of the failing process named, by the
modules of the trace, by what the source says. Nothing is imported to find it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from fixloop.reproduce.races import Met
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.syntax import parse
from fixloop.reproduce.uploads import contents, file_name
from fixloop.reproduce.values import plain
from store.event import Event, Request

_KINDS = {
    "Flask": "flask",
    "APIFlask": "flask",
    "OpenAPI": "flask",
    "FastAPI": "starlette",
    "Starlette": "starlette",
}
_SHARED = "Application"  # a name that two frameworks have; the imports tell them apart
_SHARING = re.compile(r"^\s*(?:from|import)\s+(aiohttp|tornado)\b", re.MULTILINE)
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})
_TAKE_FILES = frozenset({"flask", "starlette", "django"})
_SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE[\"']\s*(?:,|\]\s*=)\s*[\"']([\w.]+)[\"']")
_ARGV_APP = re.compile(r"^([A-Za-z_][\w.]*):([A-Za-z_]\w*)(?:\(\))?$")
# Headers that a test client sets by itself, that belong to the hop, or that say who the user was.
_NOT_SENT = frozenset({
    "host", "content-length", "content-type", "connection", "accept-encoding", "user-agent", "cookie", "authorization",
    "x-forwarded-for", "x-real-ip", "x-request-id", "traceparent", "tracestate", "baggage", "sentry-trace", "forwarded",
    "via", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "accept-language", "cache-control", "pragma",
    "te", "dnt", "upgrade-insecure-requests",
})  # fmt: skip


@dataclass(frozen=True)
class Application:
    """Where an application object is: `module.attribute`, called first when it is a factory."""

    framework: str  # flask, starlette, django, aiohttp, tornado
    repo: str
    module: str
    attribute: str = ""
    factory: bool = False
    settings: str | None = None
    made_by: str | None = (
        None  # the name of the function, or of the class of the team's own, that makes such objects
    )
    needs: bool = False  # something to be made with


def find_applications(
    sources: Mapping[str, tuple[str, str]], event: Event, preferred: Iterable[str], env: Mapping[str, str]
) -> list[Application]:
    """Application objects, the likeliest first. `sources`: module name -> (repository, text); `preferred`: modules of
    the trace, outermost first."""
    found: list[Application] = []
    for module, (repo, text) in sources.items():
        if any(f"{name}{mark}" in text for name in (*_KINDS, _SHARED) for mark in "()"):  # made, or a base
            found += _in_module(module, repo, text)
    made = {app.made_by: app.framework for app in found if app.made_by}
    for module, (repo, text) in sources.items():
        if any(f"{name}(" in text for name in made):
            found += _made_in_module(module, repo, text, made)
    found = [app for app in found if not app.needs]
    django = _django_settings(sources, env)
    if django is not None:
        found.append(django)
    named = _named_on_command_line(event)
    order = list(preferred)

    def rank(app: Application) -> tuple[int, int, int, str]:
        by_name = 0 if (app.module, app.attribute) in named else 1
        by_trace = order.index(app.module) if app.module in order else len(order)
        return by_name, by_trace, int("test" in app.module), app.module

    return sorted(found, key=rank)


def _in_module(module: str, repo: str, text: str) -> list[Application]:
    tree = parse(text)
    if tree is None:
        return []
    found = []
    shared = {found[1] for found in _SHARING.finditer(text)}
    kinds_here = {**_KINDS, **({_SHARED: shared.pop()} if len(shared) == 1 else {})}
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
            kind = kinds_here.get(_called(node.value))
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if kind and isinstance(targets[0], ast.Name):
                found.append(Application(kind, repo, module, targets[0].id))
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith(("_", "test")):
            kinds = [
                kinds_here[_called(c)]
                for c in ast.walk(node)
                if isinstance(c, ast.Call) and _called(c) in kinds_here
            ]
            arguments = node.args
            optional = len(arguments.args) == len(arguments.defaults) and None not in arguments.kw_defaults
            if kinds and any(isinstance(part, ast.Return) and part.value for part in ast.walk(node)):
                found.append(
                    Application(
                        kinds[0], repo, module, node.name, factory=True, made_by=node.name, needs=not optional
                    )
                )
        elif isinstance(node, ast.ClassDef):
            bases = [kinds_here[name] for base in node.bases if (name := _last(base)) in kinds_here]
            if bases:
                found.append(Application(bases[0], repo, module, made_by=node.name, needs=True))
    return found


def _made_in_module(module: str, repo: str, text: str, made: Mapping[str, str]) -> list[Application]:
    """Objects at the top of a module that one of the team's own functions or classes has made."""
    tree = parse(text)
    found = []
    for node in tree.body if tree else ():
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.targets[0], ast.Name)
        ):
            kind = made.get(_called(node.value))
            if kind:
                found.append(Application(kind, repo, module, node.targets[0].id))
    return found


def _called(call: ast.Call) -> str:
    return _last(call.func)


def _last(name: ast.expr) -> str:
    return ast.unparse(name).rpartition(".")[2]


def _django_settings(sources: Mapping[str, tuple[str, str]], env: Mapping[str, str]) -> Application | None:
    name = env.get("DJANGO_SETTINGS_MODULE")
    for repo, text in sources.values():
        match = _SETTINGS.search(text)
        if match and not name:
            name = match.group(1)
        if match and name:
            return Application("django", repo, module="", settings=name)
    if name and name in sources:
        return Application("django", sources[name][0], module="", settings=name)
    return None


def _named_on_command_line(event: Event) -> set[tuple[str, str]]:
    argv = event.extra.get("sys.argv")
    words = [word for word in argv if isinstance(word, str)] if isinstance(argv, list) else []
    return {(m.group(1), m.group(2)) for m in map(_ARGV_APP.match, words) if m}


def request_recipes(app: Application, event: Event, has_httpx: Callable[[], bool]) -> Iterator[Recipe]:
    """The event's request as calls through the application's test client, the likeliest first: uploaded files are not
    in an event, what was in them may be."""
    if event.request is None:
        return
    recipe = request_recipe(app, event.request, has_httpx)
    form = recipe.inputs.get("form")
    is_multipart = _content_type(event.request) == "multipart/form-data"
    if isinstance(form, dict) and "" in form.values() and is_multipart and recipe.framework in _TAKE_FILES:
        fields = [name for name, value in form.items() if value == ""]
        rest = {name: value for name, value in form.items() if name not in fields}
        for content in contents(event):
            upload = [
                {"field": name, "name": file_name(event), "content": {"$repr": repr(content)}}
                for name in fields
            ]
            inputs = {key: value for key, value in recipe.inputs.items() if key != "form"}
            inputs |= {"form": rest, "uploads": upload} if rest else {"uploads": upload}
            note = f"the content of {', '.join(fields)}: bytes that a frame shows"
            yield recipe.model_copy(update={"inputs": inputs, "guessed": (note,)})
    yield recipe


def request_recipe(app: Application, request: Request, has_httpx: Callable[[], bool]) -> Recipe:
    framework = app.framework
    if framework == "starlette" and not has_httpx():
        framework = "asgi"
    target: dict[str, Any] = {"framework": framework, "module": app.module, "attribute": app.attribute,
                              "factory": app.factory}  # fmt: skip
    if app.settings:
        target["settings"] = app.settings
    inputs, notes = _inputs(request)
    return Recipe(
        entry="http", repo=app.repo, target=target, inputs=inputs, guessed=tuple(notes["guessed"]),
        redacted=tuple(notes["redacted"]),
    )  # fmt: skip


def same_moment(event: Event, others: Iterable[Event], within: timedelta) -> Iterator[dict[str, Any]]:
    """The inputs of other requests that were served at the same time as an event's, each once, nearest first."""
    if event.request is None:
        return
    mine, _ = _inputs(event.request)
    seen = [mine]
    for other in sorted(others, key=lambda one: abs(one.timestamp - event.timestamp)):
        if other.request is None or not other.request.url or abs(other.timestamp - event.timestamp) > within:
            continue
        inputs, _ = _inputs(other.request)
        if inputs not in seen:
            seen.append(inputs)
            yield inputs


def logged_inputs(recipe: Recipe, met: Iterable[Met]) -> list[dict[str, Any]]:
    """The inputs of requests that an access log has beside a recipe's: those that need no body, for no log has one."""
    found = []
    for one in met:
        split = urlsplit(one.path)
        inputs = {
            "method": one.method,
            "path": split.path or "/",
            **({"query": split.query} if split.query else {}),
        }
        if one.method in _BODILESS and (one.method, split.path) != (
            recipe.inputs["method"],
            recipe.inputs["path"],
        ):
            found.append(inputs)
    return found


def _inputs(request: Request) -> tuple[dict[str, Any], dict[str, list[str]]]:
    notes: dict[str, list[str]] = {"guessed": [], "redacted": []}
    split = urlsplit(request.url)
    method = request.method.upper() or "GET"
    if not (method.isascii() and method.isalpha()):  # it becomes a name in the test
        method = "GET"
    inputs: dict[str, Any] = {"method": method, "path": split.path or "/"}
    query = request.query_string or split.query
    if query:
        inputs["query"] = query
    headers = {name: value for name, value in request.headers.items() if _sent(name)}
    notes["redacted"] += [
        f"header {n}" for n, v in request.headers.items() if v in ("[Filtered]", "[redacted]")
    ]
    headers = {name: value for name, value in headers.items() if value not in ("[Filtered]", "[redacted]")}
    if headers:
        inputs["headers"] = headers
    _body(request.data, _content_type(request), inputs, notes["guessed"])
    return inputs, notes


def _content_type(request: Request) -> str:
    given = next((v for n, v in request.headers.items() if n.lower() == "content-type"), "")
    return given.partition(";")[0].strip().lower()


def _sent(name: str) -> bool:
    return name.lower() not in _NOT_SENT and not name.startswith("$")  # no tag of a value tree


def _body(data: Any, kind: str, inputs: dict[str, Any], guessed: list[str]) -> None:
    if data in (None, "", {}, []) and kind != "application/json":
        return
    if kind == "application/json" and isinstance(data, str):  # an SDK that keeps the body as it came
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            kind = "text/plain"
    if kind == "application/json" or (isinstance(data, (dict, list)) and not kind):
        inputs["json"] = plain(data)
    elif kind in ("application/x-www-form-urlencoded", "multipart/form-data") and isinstance(data, dict):
        if any(value == "" for value in data.values()) and kind == "multipart/form-data":
            guessed.append("request body: uploaded files are not in the event")
        inputs["form"] = plain(data)
    elif isinstance(data, str):
        inputs["body"] = data
        if kind:
            inputs.setdefault("headers", {})["Content-Type"] = kind
