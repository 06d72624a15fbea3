"""What is known about a failure before anybody judges it: facts, each from the event, its place or its
history."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from store.event import Event, ExceptionValue, Frame
from store.incident import Kind
from triage import callers, families, foreign
from triage.browser import agent_of, is_stale_page, third_party
from triage.learning.alerts import NO_PAST, Past, is_alert
from triage.locate import Located
from triage.surroundings import NOTHING_AROUND, Looked, Surroundings
from triage.words import words

_RAISE = re.compile(
    r"^\s*(?:raise\b|abort\(|(?:self|ctx|cls)\.fail\()|\braise\s+\w+.*\bfrom\b|:\s*raise\b|^\s*throw\b"
)
_ENVIRON = re.compile(r"\bos\.environ\[|\benviron\[|\bgetenv\(")
_MISSING_FILE = frozenset({"FileNotFoundError", "PermissionError", "IsADirectoryError", "NotADirectoryError"})


@dataclass(frozen=True)
class History:
    """What the store knows of the incident so far; handed in by the server."""

    event_count: int = 1
    user_count: int = 0
    first_seen: datetime | None = None
    is_new: bool = True
    regressed: bool = False
    past: Past = NO_PAST  # of the same alert, before this one
    around: Surroundings = NOTHING_AROUND
    spike: str | None = None  # how a rate has risen, in words (`server.intake.spikes`)
    first_release: str | None = None  # in which it was first seen


@dataclass(frozen=True)
class Analysis:
    """The facts that rules decide on. None means: not known."""

    type: str
    module: str | None
    value: str
    level: str
    handled: bool | None
    deliberate: bool  # the innermost frame is a `raise` (or an abort)
    raised_in: str  # "own", "library", "standard library" or "unknown": where the innermost frame is
    own_frames: int
    frames: int
    own_share: float
    http_status: int | None  # of a server framework's HTTP exception
    upstream_status: int | None  # of another service's answer
    errno: int | None
    is_http: bool
    method: str | None
    path: str | None
    scanner: bool
    health_check: bool
    disconnect: bool
    broken_pipe: bool
    interrupt: bool
    cli_usage: bool
    validation: bool
    unreadable: bool  # what came is no request, as a framework's parser says
    foreign_input: bool  # own code asked a validation library to judge input from outside
    infrastructure: bool
    programming: bool
    malformed_input: bool
    configuration: bool
    argument_file: bool  # a file that the caller named on the command line
    event_count: int
    user_count: int
    is_new: bool
    regressed: bool
    third_party: str | None = None  # why it is not the team's, in words: an extension, a foreign script
    per_hour: float = 0.0  # events since the first one
    is_alert: bool = False  # a monitor's rule reported it, and not a program
    alerts_before: int = 0  # of the same alert
    farthest_before: float = 0.0  # over its threshold, as the logarithm of the ratio
    phase: str = "new"  # new, known, regressed or spreading
    spreads_by: tuple[str, ...] = ()  # whom it reaches lately and did not reach before, in words
    critical: str | None = None  # the team's glob for what must not fail that it falls under
    team_cause: Kind | None = None  # the class that a runbook gives it
    in_deploy: bool = False  # within half an hour after a deployment
    stale_page: bool = False  # a page asked for a part of itself that is not served any more
    spike: str | None = None  # "0.2 % → 15.3 % of POST /checkout"
    first_release: str | None = None  # in which it was first seen

    def facts(self) -> dict[str, Any]:
        """As JSON, without what is not known and without what is false."""
        return {name: value for name, value in asdict(self).items() if value not in (None, False, "", ())}


def analyse(event: Event, located: Located, history: History) -> Analysis:
    """Collect the facts. Never raises."""
    raised = event.exception or ExceptionValue(type="", value=event.message or "")
    own_frames = sum(located.own)
    innermost = raised.frames[-1] if raised.frames else None
    path, agent = _path(event), agent_of(event)
    wrapped = _wrapped(event, raised)
    return Analysis(
        type=raised.type,
        module=raised.module,
        value=raised.value,
        level=event.level,
        handled=raised.handled,
        deliberate=_is_raise(innermost),
        raised_in=_raised_in(innermost, located),
        own_frames=own_frames,
        frames=len(raised.frames),
        own_share=round(own_frames / len(raised.frames), 3) if raised.frames else 0.0,
        http_status=families.http_status(raised, in_request=event.request is not None),
        upstream_status=_upstream_status(raised),
        errno=families.errno_of(raised),
        is_http=event.request is not None,
        method=event.request.method if event.request else None,
        path=path or None,
        scanner=event.request is not None and families.is_scanner(path, agent),
        health_check=event.request is not None and families.is_health_check(path, agent),
        disconnect=_is_disconnect(raised, in_request=event.request is not None),
        broken_pipe=_is_broken_pipe(raised),
        interrupt=families.is_interrupt(raised) or foreign.is_interrupt(raised),
        cli_usage=families.is_cli_usage(raised),
        validation=families.is_validation(raised),
        unreadable=callers.unreadable_request(raised),
        foreign_input=_asks_for_validation(raised, located),
        infrastructure=not _own_decision(raised, wrapped, located)
        and any(families.is_infrastructure(one, families.errno_of(one)) for one in wrapped),
        programming=raised.type in families.PROGRAMMING,
        malformed_input=raised.type in families.MALFORMED,
        configuration=_is_configuration(raised),
        argument_file=_names_argument(event, raised),
        event_count=history.event_count,
        user_count=history.user_count,
        is_new=history.is_new,
        regressed=history.regressed,
        third_party=third_party(event, located),
        stale_page=is_stale_page(event),
        per_hour=_per_hour(event, history),
        first_release=history.first_release,
        is_alert=is_alert(event),
        alerts_before=history.past.count,
        farthest_before=history.past.farthest,
        spike=history.spike,
    )


def with_surroundings(facts: Analysis, looked: Looked) -> Analysis:
    """The facts with what the surroundings add."""
    phase = (
        "regressed"
        if facts.regressed
        else "spreading"
        if looked.spreading
        else "new"
        if facts.is_new
        else "known"
    )
    return replace(
        facts,
        phase=phase,
        spreads_by=looked.kinds,
        critical=looked.critical,
        in_deploy=looked.in_deploy,
        team_cause=looked.cause,
    )


def _per_hour(event: Event, history: History) -> float:
    """Events an hour since the first one; below an hour as if it had been one."""
    if history.first_seen is None:
        return float(history.event_count)
    hours = (event.timestamp - history.first_seen).total_seconds() / 3600
    return round(history.event_count / max(hours, 1.0), 3)


def _is_raise(frame: Frame | None) -> bool:
    return frame is not None and _RAISE.search(frame.context_line or "") is not None


def _raised_in(innermost: Frame | None, located: Located) -> str:
    if innermost is None or not located.own:
        return "unknown"
    if located.own[-1]:
        return "own"
    path = innermost.abs_path or innermost.filename or ""
    return "library" if "-packages" in path else "standard library"


def _path(event: Event) -> str:
    if event.request is None:
        return ""
    try:
        return urlsplit(event.request.url).path or event.request.url
    except ValueError:
        return event.request.url


def _wrapped(event: Event, raised: ExceptionValue) -> tuple[ExceptionValue, ...]:
    """The exception and, where it was raised on purpose around others, those: a wrapper has its cause's
    kind."""
    if raised.type in families.PROGRAMMING or not _is_raise(raised.frames[-1] if raised.frames else None):
        return (raised,)
    return (raised, *event.exceptions[:-1])


def _is_disconnect(raised: ExceptionValue, *, in_request: bool) -> bool:
    """The client went away while the server was reading from it or writing to it."""
    serving = any((frame.module or "").startswith(_SERVERS) for frame in raised.frames[-8:])
    if raised.type in families.EITHER_SIDE:
        return serving or in_request
    if raised.type in families.DISCONNECTS or callers.client_gone(raised, in_request=in_request):
        return True
    lost = raised.type in ("ConnectionResetError", "ConnectionAbortedError")
    return lost and serving and not families.talks_outwards(raised)


def _is_broken_pipe(raised: ExceptionValue) -> bool:
    """Whoever read our output went away; a pipe that own code had opened itself is another matter."""
    return (
        raised.type == "BrokenPipeError"
        and not families.talks_outwards(raised)
        and not callers.own_pipe(raised.frames)
    )


def _own_decision(raised: ExceptionValue, wrapped: tuple[ExceptionValue, ...], located: Located) -> bool:
    """Own code raised it for a reason of its own: nothing beneath it failed, and its text is no system's."""
    innermost = raised.frames[-1] if raised.frames else None
    alone = len(wrapped) == 1 and not foreign.says_system(raised) and families.errno_of(raised) is None
    return alone and _is_raise(innermost) and _raised_in(innermost, located) == "own"


_SERVERS = words(
    """
    wsgiref socketserver http.server werkzeug.serving gunicorn uvicorn hypercorn waitress daphne
    aiohttp.web django.core.servers starlette.requests starlette.responses tornado.web werkzeug.wsgi
    """
)


def _asks_for_validation(raised: ExceptionValue, located: Located) -> bool:
    own = (
        [frame for frame, is_own in zip(raised.frames, located.own, strict=True) if is_own]
        if located.own
        else []
    )
    return bool(own) and families.FOREIGN_INPUT.search(own[-1].context_line or "") is not None


def _upstream_status(raised: ExceptionValue) -> int | None:
    if (told := foreign.upstream_status(raised)) is not None:
        return told
    if (raised.module, raised.type) not in families.UPSTREAM_ANSWERS:
        return None
    match = re.search(r"\b([45]\d\d)\b", raised.value)
    return int(match[1]) if match else None


def _is_configuration(raised: ExceptionValue) -> bool:
    if raised.type in families.CONFIGURATION:
        return True
    return raised.type == "KeyError" and any(
        _ENVIRON.search(frame.context_line or "") for frame in raised.frames[-2:]
    )


def _names_argument(event: Event, raised: ExceptionValue) -> bool:
    arguments = event.extra.get("sys.argv")
    if raised.type not in _MISSING_FILE or not isinstance(arguments, list):
        return False
    named = re.findall(r"'([^']+)'", raised.value)
    return len(named) == 1 and named[0] in [str(argument) for argument in arguments[1:]]
