"""Two requests at once to an asynchronous application, in one event loop: tasks change places only where one awaits."""

from __future__ import annotations

import ast

from fixloop.reproduce.syntax import functions, parse

# Every task of the loop is driven step by step: the first that suspends at the line is held until the second request
# has been answered.
TOGETHER = '''
async def together(first, second, at, patience=200):
    """Two calls in one event loop: the first is held where it awaits at a line until the second has ended.

    `at` is the text of the line, or how often tasks have suspended by then. Where the second has to wait for the first
    (a lock), the first goes on: once no task has gone on in `patience` looks, 5 ms each, which a busy machine makes
    longer for all. Gives both results.
    """
    held, released, suspended, quiet, seen = asyncio.Event(), asyncio.Event(), [0], 0, -1

    def lines(coroutine):
        while coroutine is not None and getattr(coroutine, "cr_frame", None) is not None:
            frame = coroutine.cr_frame
            yield linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            coroutine = coroutine.cr_await

    class Stepped:
        def __init__(self, coroutine):
            self.coroutine = coroutine

        def __await__(self):
            given = failed = None
            while True:
                try:
                    waiting = self.coroutine.send(given) if failed is None else self.coroutine.throw(failed)
                except StopIteration as ended:
                    return ended.value
                suspended[0] += 1
                is_there = not held.is_set() and at in [*lines(self.coroutine), suspended[0]]
                given = failed = None
                try:
                    given = yield waiting
                except BaseException as error:
                    failed = error
                if is_there and not held.is_set():
                    held.set()
                    yield from released.wait().__await__()

    async def stepped(coroutine):
        return await Stepped(coroutine)

    def make(loop, coroutine, **about):
        return asyncio.Task(stepped(coroutine), loop=loop, **about)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(make)
    one = loop.create_task(first())
    standing = loop.create_task(held.wait())
    await asyncio.wait((one, standing), return_when=asyncio.FIRST_COMPLETED)
    two = loop.create_task(second())
    while not two.done() and quiet < patience:
        await asyncio.wait((two,), timeout=0.005)
        quiet, seen = (quiet + 1, seen) if suspended[0] == seen else (0, suspended[0])
    released.set()
    standing.cancel()
    return await one, await two
'''


def awaits(text: str) -> set[str]:
    """The texts of the lines of a file at which a coroutine may be suspended."""
    tree = parse(text)
    lines = text.splitlines()
    return {
        lines[part.lineno - 1].strip()
        for function in (functions(tree) if tree else ())
        if function.is_async
        for part in ast.walk(function.node)
        if isinstance(part, (ast.Await, ast.AsyncFor, ast.AsyncWith))
    }
