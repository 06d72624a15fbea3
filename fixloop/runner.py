"""Run calls in a world: a warm probe inside the sandbox, asked over the channel."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from fixloop import Sandbox, Session
from fixloop.worlds import PROBE, World

CALL_PATH = "/tmp/nightdesk_reproducer.py"  # noqa: S108 - a name inside the sandbox for the text that is executed


@dataclass(frozen=True)
class Raised:
    """An exception that passed through own code: type, message, own frames (oldest first)."""

    type: str
    module: str
    message: str
    frames: tuple[dict[str, Any], ...]
    last: dict[str, Any] = field(default_factory=dict)
    missing: str | None = None  # of an ImportError: the module that is not there

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.type}"

    @classmethod
    def of(cls, told: dict[str, Any]) -> Raised:
        return cls(
            type=str(told.get("type")),
            module=str(told.get("module")),
            message=str(told.get("message")),
            frames=tuple(told.get("frames") or ()),
            last=told.get("last") or {},
            missing=told.get("missing"),
        )


@dataclass(frozen=True)
class Outcome:
    """What one run gave. `status`: ok, raised, died, timeout. `raised` lists what was seen inside, also if it was caught."""

    status: str
    value: Any = None
    exception: Raised | None = None
    raised: tuple[Raised, ...] = ()
    calls: frozenset[str] = frozenset()
    lines: dict[str, tuple[int, ...]] = field(default_factory=dict)
    took: float = 0.0

    @classmethod
    def of(cls, told: dict[str, Any]) -> Outcome:
        error = told.get("exception")
        return cls(
            status=str(told.get("status", "died")),
            value=told.get("value"),
            exception=Raised.of(error) if error else None,
            raised=tuple(Raised.of(entry) for entry in told.get("raised", ())),
            calls=frozenset(told.get("calls", ())),
            lines={path: tuple(lines) for path, lines in told.get("lines", {}).items()},
            took=float(told.get("took", 0.0)),
        )

    @property
    def seen(self) -> tuple[Raised, ...]:
        """Every exception of the run, the one that ended it last."""
        return (*self.raised, self.exception) if self.exception else self.raised


class Runner:
    """A warm probe in one world. Restarted by itself when the code under judgement takes it down."""

    def __init__(self, sandbox: Sandbox, world: World, *, wall: float = 300.0) -> None:
        self._sandbox, self._world, self._wall = sandbox, world, wall
        self._session: Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def run(
        self,
        source: str,
        function: str = "call",
        *,
        times: int = 1,
        preload: Sequence[str] = (),
        cover: bool = False,
        watch: bool = True,
        wall: float = 20.0,
    ) -> list[Outcome]:
        """Execute `function` of `source` so many times, each in a fork. Never raises for what the code does."""
        nonce = secrets.token_hex(16)
        request = {
            "nonce": nonce, "source": source, "function": function, "path": CALL_PATH, "own": self._world.own,
            "times": times, "preload": list(preload), "cover": cover, "watch": watch, "wall": wall,
        }  # fmt: skip
        if self._session is None:
            self._session = self._sandbox.open(
                self._world.job((self._world.environment.python, PROBE), wall=self._wall)
            )
        answer = self._session.ask(json.dumps(request).encode(), wall=min(self._wall, wall * times + 10))
        reply = _reply(answer, nonce)
        if reply is None:
            self.close()
            return [Outcome(status="died" if answer is not None else "timeout")] * times
        return [Outcome.of(told) for told in reply]


def _reply(answer: bytes | None, nonce: str) -> list[dict[str, Any]] | None:
    if answer is None:
        return None
    try:
        reply = json.loads(answer)
    except ValueError:
        return None
    if not isinstance(reply, dict) or reply.get("nonce") != nonce:
        return None
    return [told if isinstance(told, dict) else {} for told in reply.get("outcomes", [])]
