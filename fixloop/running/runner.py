"""Run calls in a world: a warm probe inside the sandbox, asked over the channel."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from fixloop import Sandbox, Session
from fixloop.running.worlds import PROBE, World

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
    def of(cls, told: Any) -> Raised:
        told = told if isinstance(told, dict) else {}
        missing = told.get("missing")
        return cls(
            type=str(told.get("type")),
            module=str(told.get("module")),
            message=str(told.get("message")),
            frames=tuple(_place(frame) for frame in _listed(told.get("frames"))),
            last=_place(told.get("last")),
            missing=missing if isinstance(missing, str) else None,
        )


@dataclass(frozen=True)
class Outcome:
    """What one run gave. `status`: ok, raised, died, timeout. `raised` lists what was seen inside, also if it
    was caught."""

    status: str
    value: Any = None
    exception: Raised | None = None
    raised: tuple[Raised, ...] = ()
    calls: frozenset[str] = frozenset()
    lines: dict[str, tuple[int, ...]] = field(default_factory=dict)
    modules: tuple[str, ...] = ()  # loaded during the run, the team's own left out; told with `cover`
    took: float = 0.0

    @classmethod
    def of(cls, told: Any) -> Outcome:
        """What a run told. It was told by the code under judgement: anything may be missing or of another
        type."""
        told = told if isinstance(told, dict) else {}
        status, error = told.get("status"), told.get("exception")
        lines = told.get("lines")
        return cls(
            status=status if status in ("ok", "raised", "timeout") else "died",
            value=told.get("value"),
            exception=Raised.of(error) if error else None,
            raised=tuple(Raised.of(entry) for entry in _listed(told.get("raised"))),
            calls=frozenset(map(str, _listed(told.get("calls")))),
            lines={
                str(path): tuple(line for line in _listed(numbers) if isinstance(line, int))
                for path, numbers in (lines.items() if isinstance(lines, dict) else ())
            },
            modules=tuple(map(str, _listed(told.get("modules")))),
            took=took if isinstance(took := told.get("took"), float) else 0.0,
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
        surroundings: Mapping[str, Any] | None = None,
        wall: float = 20.0,
    ) -> list[Outcome]:
        """Execute `function` of `source` so many times, each in a fork. Never raises for what the code does.

        `preload` names modules that are loaded once, before the forks. `surroundings` is what the run shall
        look like from the inside: {"env", "argv", "cwd", "modules" (names that seem to be loaded)}.
        """
        nonce = secrets.token_hex(16)
        request = {
            "source": source, "function": function, "path": CALL_PATH, "own": self._world.own,
            "times": times, "preload": list(preload), "cover": cover, "watch": watch, "wall": wall,
            "surroundings": dict(surroundings or {}),
        }  # fmt: skip
        if self._session is None:
            self._session = self._sandbox.open(
                self._world.job((self._world.environment.python, PROBE), wall=self._wall)
            )
        body = json.dumps(request).encode()
        line = b"%d\n%b%b\n" % (len(body), body, nonce.encode())
        answer = self._session.ask(line, wall=min(self._wall, wall * times + 10))
        reply = _reply(answer, nonce, times)
        if reply is None:
            self.close()
            return [Outcome(status="died" if answer is not None else "timeout")] * times
        return [Outcome.of(told) for told in reply]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _place(value: Any) -> dict[str, Any]:
    """A place in the code: path, module, function and text as texts, the line as a number."""
    told = value if isinstance(value, dict) else {}
    texts = {key: str(told.get(key) or "") for key in ("path", "module", "function", "text")}
    return {**texts, "line": line if isinstance(line := told.get("line"), int) else 0}


def _reply(answer: bytes | None, nonce: str, times: int) -> list[Any] | None:
    """The outcomes, where the answer is one to this very request."""
    if answer is None:
        return None
    try:
        reply = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(reply, dict) or reply.get("nonce") != nonce:
        return None
    outcomes = _listed(reply.get("outcomes"))
    return outcomes if len(outcomes) == times else None
