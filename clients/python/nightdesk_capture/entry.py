"""What came in: the HTTP request, the job of a queue, or the command line, as the SDK's integrations have it.

They have put it on the event before the event is cut down for sending; the body that a framework has read already is
taken from where it keeps it. Nothing is read from the connection, and nothing is asked of a queue.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Dict, Mapping, Optional

from nightdesk_capture.peek import class_name, instance_dict, lineage

_HELD_BACK = "[Filtered]"
_JOBS = {
    "celery-job": "celery",
    "rq-job": "rq",
    "arq-job": "arq",
    "huey-job": "huey",
    "dramatiq-job": "dramatiq",
}
# Modules of which a frame has a job's arguments, as its own or those of the job.
_RUNNERS = frozenset({"sentry_sdk.integrations.celery", "sentry_sdk.integrations.arq", "huey.api", "rq.job"})
# Classes of requests, and the attribute in which each keeps a body that was read.
_BODIES = {
    "werkzeug.wrappers.request.Request": "_cached_data",
    "django.http.request.HttpRequest": "_body",
    "starlette.requests.Request": "_body",
}


def entry_of(
    event: Mapping[str, Any], trace: Optional[TracebackType], off: "frozenset[str]" = frozenset()
) -> Dict[str, Any]:
    """The parts of the entry by name; `kind` says which sort it is."""
    request = event.get("request")
    if isinstance(request, dict) and request and "request" not in off:
        return _request(request, trace)
    extra = event.get("extra")
    for name, kind in _JOBS.items():
        if isinstance(extra, dict) and name in extra:
            return {"kind": kind, "job": _job(extra[name], trace if "locals" not in off else None)}
    if isinstance(extra, dict) and "sys.argv" in extra:
        return {"kind": "cli", "argv": extra["sys.argv"]}
    return {}


def _request(request: Mapping[str, Any], trace: Optional[TracebackType]) -> Dict[str, Any]:
    found = {"kind": "request"}
    for name in ("method", "url", "query_string", "headers", "cookies", "data"):
        part = request.get(name)
        # what the SDK has taken out stands there as an object of its own: it stays out
        if part is not None and type(part).__name__ != "AnnotatedValue":
            found[name] = part
    if "data" not in found and (body := _body(trace)):
        found["body"] = body
    return found


def _job(said: Any, trace: Optional[TracebackType]) -> Any:
    """The job, with its arguments where the SDK holds them back: they are the locals of the function that it calls, and
    are redacted as those are."""
    if type(said) is not dict or said.get("args") != _HELD_BACK:
        return said
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") in _RUNNERS:
            local = trace.tb_frame.f_locals
            kept = {**(instance_dict(local.get("self")) or {}), **local}
            for args, words in (("args", "kwargs"), ("_args", "_kwargs")):
                if type(kept.get(args)) in (tuple, list) and type(kept.get(words)) is dict:
                    return {**said, "args": list(kept[args]), "kwargs": kept[words]}
        trace = trace.tb_next
    return said


def _body(trace: Optional[TracebackType]) -> Any:
    """The body that the framework's request has in memory."""
    while trace is not None:
        for value in list(trace.tb_frame.f_locals.values()):
            body = body_of(value)
            if body:
                return body
        trace = trace.tb_next
    return None


def body_of(request: Any) -> Any:
    """The body that a framework's request has read already; None where it has not, and of anything else."""
    for kind in lineage(type(request)):
        kept = _BODIES.get(class_name(kind))
        if kept is not None:
            body = (instance_dict(request) or {}).get(kept)
            return body if type(body) is bytes else None
    return None
