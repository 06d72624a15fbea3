"""Two calls at once on a forced schedule: the first stands still before a line until the second has ended."""

from __future__ import annotations

from fixloop.reproduce.lines import Lines
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.tasks import TOGETHER

# One switch to the other call and one back loses most races. Whoever traces threads already goes on doing so.
INTERLEAVED = '''
def interleaved(first, second, before, patience=200):
    """Two calls in threads: the first stands still before a line of the application until the second has ended.

    `before` is the text of the line, or how many lines of the application have begun by then. Where the second has
    to wait for the first (a lock), the first goes on: once nothing was called in `patience` looks, 5 ms each, which a
    busy machine makes longer for both. Gives both results.
    """
    standing, released, outer = threading.Event(), threading.Event(), threading.gettrace()
    began, results, called, quiet, seen = itertools.count(1), {}, [0], 0, -1

    def is_there(frame):
        return before in (linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip(), next(began))

    def trace(frame, event, arg):
        called[0] += 1
        inside, name = outer and outer(frame, event, arg), frame.f_code.co_filename
        if name == __file__ or name.startswith("<") or "/site-packages/" in name or "/lib/python" in name:
            return inside

        def step(frame, event, arg):
            nonlocal inside
            inside = inside and inside(frame, event, arg)
            if event == "line" and not standing.is_set() and is_there(frame):
                standing.set()
                released.wait(30)
            return step

        return step

    def run(name, call):
        try:
            results[name] = call()
        except BaseException as error:
            results[name] = error

    threading.settrace(trace)
    one, two = (threading.Thread(target=run, args=pair) for pair in enumerate((first, second)))
    one.start()
    while one.is_alive() and not standing.wait(0.005):
        pass
    two.start()
    while two.is_alive() and quiet < patience:
        two.join(0.005)
        quiet, seen = (quiet + 1, seen) if called[0] == seen else (0, called[0])
    released.set()
    one.join()
    two.join()
    threading.settrace(outer)
    for result in results.values():
        if isinstance(result, BaseException):
            raise result
    return results[0], results[1]
'''

WORSE = '''
def worse(answers):
    """Of two answers the one with the higher status; its body only where that is an error of the server."""
    status, body = max(answers, key=lambda answer: answer[0])
    return status, body if status >= 500 else ""
'''
ALONE = 0  # the line before which nothing ever stands: one call after the other


def is_of_tasks(recipe: Recipe) -> bool:
    """Whether the calls are tasks of one event loop, and not threads."""
    return bool(recipe.schedule and recipe.schedule.get("tasks"))


def interleaved_lines(recipe: Recipe, lines: Lines, other: Lines | None = None) -> Lines:
    """The same call twice at once, or the call and an `other` one, on the recipe's schedule."""
    before = (recipe.schedule or {})["before"]
    lines.imports |= (
        {"linecache", "asyncio"} if is_of_tasks(recipe) else {"linecache", "itertools", "threading"}
    )
    lines.helpers.append(TOGETHER if is_of_tasks(recipe) else INTERLEAVED)
    closing = bool(recipe.target.get("settings"))  # each thread has connections of its own
    lines.setup.append(_defined("call_once", lines.result, closing=closing))
    second = "call_once"
    if other is not None:
        lines.imports |= other.imports
        lines.froms |= other.froms
        lines.setup += [line for line in other.setup if line not in lines.setup]
        lines.setup.append(_defined("call_other", other.result, closing=closing))
        second = "call_other"
    lines.result = f"interleaved(call_once, {second}, before={before!r})"
    if is_of_tasks(recipe):
        lines.result = f"asyncio.run(together(call_once, {second}, at={before!r}))"
    if recipe.entry == "http":
        lines.helpers.append(WORSE)
        lines.result = f"worse({lines.result})"
    return lines


def _defined(name: str, result: str, *, closing: bool) -> str:
    """A call as a function without arguments."""
    body = [f"    return {result}"]
    if closing:
        body = ["    try:", f"        return {result}", "    finally:", "        connections.close_all()"]
    return "\n".join([f"def {name}():", *body, ""])
