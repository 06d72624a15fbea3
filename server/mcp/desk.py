"""Who has sent a message, and what runs for them: the functions behind the tools, in threads, where they may."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import CallToolResult, TextContent

from server.policy import NOBODY, OPERATOR, Action, Principal

if TYPE_CHECKING:
    from server.house import House

PRINCIPAL = "nightdesk.principal"  # where the HTTP door leaves, in the request's scope, who it has let in
BEAT = 5.0  # seconds between two signs of life of something that takes minutes
_caller: ContextVar[Principal] = ContextVar("caller", default=OPERATOR)

Report = Callable[[float, float | None, str], Awaitable[None]]  # how far, of how much, a sentence of ours


async def remember_caller(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Who has sent this message: whoever the HTTP door let in; without HTTP, the operator."""
    request = ctx.request
    caller = OPERATOR if request is None else request.scope.get(PRINCIPAL, NOBODY)
    token = _caller.set(caller)
    try:
        return await call_next(ctx)
    finally:
        _caller.reset(token)


def caller() -> Principal:
    """Whoever the message that is answered now is from."""
    return _caller.get()


class Desk:
    """Runs the functions of `server.mcp.reading` and `server.mcp.writing` in threads, where the caller may.

    `by` is the name under which the acts of the operator's own assistant are kept."""

    def __init__(self, house: Callable[[], House], by: str) -> None:
        self.house = house
        self._by = by

    async def read(self, function: str, *args: Any, **options: Any) -> Any:
        """The answer of a reading function; only what the caller may see exists for it."""
        principal = _caller.get()

        def work() -> Any:
            seen = import_module("server.access").seen_by(principal, self.house())
            return getattr(import_module("server.mcp.reading"), function)(seen, *args, **options)

        return await to_thread.run_sync(work)

    async def write(self, action: Action, function: str, ref: str, *args: Any) -> Any:
        """The answer of a writing function on an incident, once the policy has let the caller."""
        principal = _caller.get()

        def work() -> Any:
            house = self.house()
            import_module("server.access").check(principal, action, house, ref)
            return getattr(import_module("server.mcp.writing"), function)(house, ref, *args)

        return await to_thread.run_sync(work)

    async def keep(self, trace: str) -> Any:
        """Keep a pasted trace as an incident, where the caller may say what becomes of one."""
        principal = _caller.get()

        def work() -> Any:
            house, access = self.house(), import_module("server.access")
            seen = house.confined_to(access.reached(principal, Action.STATE, house))
            return import_module("server.mcp.writing").keep_trace(seen, trace, self.signed())

        return await to_thread.run_sync(work)

    def signed(self) -> str:
        """The name under which the caller's acts are kept."""
        principal = _caller.get()
        return self._by if principal is OPERATOR else principal.name


async def accompanied(work: Awaitable[Any], report: Report, doing: str) -> Any:
    """The answer of something that takes minutes, with a sign of life every BEAT seconds."""

    async def beat() -> None:
        started = anyio.current_time()
        while True:
            await anyio.sleep(BEAT)
            seconds = round(anyio.current_time() - started)
            await report(seconds, None, f"{doing}: {seconds} s so far")

    answer, problem = None, None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        try:
            answer = await work
        except Exception as error:  # goes on as it is, not in the group's wrapping
            problem = error
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem
    return answer


def json_answer(values: dict[str, Any]) -> CallToolResult:
    """Compact JSON, the same in text and structure."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=values)
