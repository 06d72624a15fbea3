"""Command lines: the entry that the process was started by, called with the words that it was started with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any

from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.syntax import Function, functions, parse
from fixloop.reproduce.uploads import contents
from store.event import Event

_CLICK = frozenset({"command", "group"})
_SHOWN = re.compile(r"^<(?:Typer)?(?:Group|Command|MultiCommand) ([\w-]+)>$")
_PATH = re.compile(r"^(?:/|\.{1,2}/)?[\w.@+-]+(?:/[\w.@+-]+)*\.\w{1,5}$|^/[\w./@+-]+$")
_SERVERS = frozenset(
    {"runserver", "uvicorn", "gunicorn", "flask", "celery", "rq", "hypercorn", "daphne", "dramatiq"}
)
_FILTERED = "[Filtered]"


def command_recipes(event: Event, own: Sequence[OwnFrame], catalogue: Catalogue) -> Iterator[Recipe]:
    """Calls of the command's entry with the words of `sys.argv`, files that they name filled where a frame shows what
    may have been in them."""
    argv = event.extra.get("sys.argv")
    words = [str(word) for word in argv] if isinstance(argv, list) else []
    name = words[0].rpartition("/")[2] if words else ""
    if event.request is not None or not words or _SERVERS & {name, *words[1:2], *words[0].split("/")}:
        return
    entry = _clicked(event, catalogue, own) or _main(own)
    if entry is None:
        return
    module, function = entry
    is_click = bool(function.decorators & _CLICK)
    takes = not is_click and bool(function.node.args.args)
    target = {
        "framework": "click" if is_click else "python", "module": module, "qualname": function.qualname,
        "receiver": None, "wrap": None, "takes": takes, "name": name,
    }  # fmt: skip
    redacted = tuple(f"argument {at}" for at, word in enumerate(words) if word == _FILTERED)
    paths = [word for word in words[1:] if _PATH.match(word)]
    for content in contents(event) if paths else ():
        files, moved = _with_files(words[1:], paths, content)
        note = f"files: what was in {', '.join(paths)} is a value that a frame shows"
        yield Recipe(
            entry="cli", repo=own[-1].location.repo, target=target, guessed=(note,), redacted=redacted,
            inputs={"args": [], "kwargs": {}, "argv": moved, "files": files},
        )  # fmt: skip
    inputs = {"args": [], "kwargs": {}, "argv": words[1:]}
    yield Recipe(entry="cli", repo=own[-1].location.repo, target=target, inputs=inputs, redacted=redacted)


def _clicked(event: Event, catalogue: Catalogue, own: Sequence[OwnFrame]) -> tuple[str, Function] | None:
    """The outermost click command: click's own frames show its name."""
    error = event.exception
    modules = dict.fromkeys([*(frame.module for frame in own), *catalogue.texts])
    for frame in error.frames if error else ():
        shown = _SHOWN.match(str(frame.vars.get("self", "")))
        for module in modules if shown else ():
            found = _function(catalogue.tree(module), shown[1].replace("-", "_") if shown else "")
            if found is not None and found.decorators & _CLICK:
                return module, found
    return None


def _main(own: Sequence[OwnFrame]) -> tuple[str, Function] | None:
    """The outermost function of the stack, where a module's top level or nothing of the team's has called it, and where
    it takes no more than its words."""
    for frame in own:
        name = (frame.frame.function or "").rpartition(".")[2]
        if name == "<module>":
            continue
        function = _function(parse(frame.source), name)
        if function is None or function.nested or function.classes or function.is_async:
            return None
        arguments = function.node.args
        optional = len(arguments.args) <= len(arguments.defaults) and None not in arguments.kw_defaults
        words = len(arguments.args) == 1 and arguments.args[0].arg in ("argv", "args", "words", "arguments")
        return (frame.module, function) if (optional and len(arguments.args) < 2) or words else None
    return None


def _function(tree: ast.Module | None, name: str) -> Function | None:
    found = (function for function in functions(tree) if function.qualname == name) if tree else ()
    return next(iter(found), None)


def _with_files(
    words: Sequence[str], paths: Sequence[str], content: bytes
) -> tuple[dict[str, Any], list[Any]]:
    """The files in a folder of the test's own, and the words with their places."""
    names = {path: path.rpartition("/")[2] for path in paths}
    moved = [{"$below": names[word]} if word in names else word for word in words]
    return {name: {"$repr": repr(content)} for name in names.values()}, moved
