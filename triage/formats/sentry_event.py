"""One Sentry event (JSON) to an Event: shapes differ between SDKs and versions, and anything may be missing
or wrong."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec.json import encode

from store.errors import BadPayload
from store.event import Breadcrumb, Event, ExceptionValue, Frame, Redaction, Request
from triage.again import Again
from triage.formats.sentry_json import Remembered, bounded_parts, decoded, opened, parts_of
from triage.formats.sentry_meta import marks_of
from triage.formats.shapes import bounded, clean, integer, mapping, moment, string_map, strings, text, values
from triage.languages import by_name
from triage.languages.reading import trimmed

EXCEPTION_LIMIT = 50  # exceptions of one event, the ones raised last
FRAME_LIMIT = 100  # frames of one exception: the first fifty, and the last
BREADCRUMB_LIMIT = 100  # the newest
EVENT_ID = re.compile(r"^[0-9a-f]{32}$")
_FROZEN = re.compile(r"<frozen [\w.]+>$")
_NEVER = datetime.min.replace(tzinfo=UTC)
KNOWN_CONTEXTS = 50


def event_of(sent: Any, *, project: str, received_at: datetime) -> Event:
    """Read one event. Raises BadPayload where it is not an object; every single field may be wrong without
    harm."""
    if not isinstance(sent, dict):
        raise BadPayload("The event is not a JSON object.")
    platform = text(sent.get("platform"), 32) or "other"
    raised = [item for item in values(sent.get("exception")) if isinstance(item, dict)][-EXCEPTION_LIMIT:]
    message, template = _message(sent)
    contexts, tags = _contexts(sent, template), string_map(opened(sent.get("tags")), 400)
    trace = mapping(contexts.get("trace"))
    exceptions = _exceptions(raised, platform) or _stack_of_message(sent, message, platform)
    return Event(
        event_id=_event_id(sent),
        project=project,
        received_at=received_at,
        timestamp=moment(sent.get("timestamp"), received_at),
        platform=platform,
        level=(text(sent.get("level"), 16) or "error").lower(),
        environment=text(sent.get("environment"), 200),
        release=text(sent.get("release"), 250),
        service=text(tags.get("service"), 200),
        server_name=text(sent.get("server_name"), 200),
        transaction=text(sent.get("transaction"), 400),
        message=message,
        logger=text(sent.get("logger"), 200),
        exceptions=exceptions,
        request=sent_request(sent.get("request")),
        breadcrumbs=_breadcrumbs(opened(sent.get("breadcrumbs"))),
        tags=tags,
        user=bounded_parts(sent.get("user")),
        contexts=contexts,
        extra=bounded_parts(sent.get("extra")),
        client_fingerprint=strings(sent.get("fingerprint"), 20),
        trace_id=text(trace.get("trace_id"), 64),
        span_id=text(trace.get("span_id"), 64),
        sdk=_sdk(sent.get("sdk")),
        redactions=_marks(sent, raised),
    )


def request_of(sent: Any) -> Request | None:
    """The request interface; headers, cookies and query may each be a mapping, pairs or text."""
    if not isinstance(sent, dict):
        return None
    cookies = sent.get("cookies")
    if isinstance(cookies, str):
        cookies = [part.strip().partition("=")[::2] for part in cookies.split(";")]
        cookies = dict(cookies)
    return Request(
        method=(text(sent.get("method"), 16) or "GET").upper(),
        **_address(sent),
        headers=string_map(sent.get("headers"), 2048),
        cookies=string_map(cookies, 2048),
        data=bounded(sent.get("data"), 1 << 16),
        env=string_map(sent.get("env"), 1024),
    )


def _address(sent: Mapping[str, Any]) -> dict[str, str]:
    query = sent.get("query_string")
    if isinstance(query, dict | list):
        query = "&".join(f"{key}={value}" for key, value in mapping(query).items())
    return {"url": text(sent.get("url"), 2048) or "", "query_string": text(query, 2048) or ""}


def sent_request(sent: Any) -> Request | None:
    """A request as it was sent. Its address differs from event to event where the rest of it may not."""
    if not isinstance(sent, bytes):
        return request_of(sent)
    parts = parts_of(sent)
    if not parts:
        return request_of(decoded(sent))
    own: dict[str, Any] = {
        name: decoded(parts.pop(name)) for name in ("url", "query_string") if name in parts
    }
    rest = b",".join([encode(name) + b":" + part for name, part in parts.items()])
    return _REQUESTS.of(b"{" + rest + b"}").model_copy(update=_address(own))


def _bare_request(part: bytes, _: str) -> Request:
    made = request_of(decoded(part))
    assert made is not None  # noqa: S101 - it is an object
    kept = {name: Again(getattr(made, name)) for name in ("headers", "cookies", "env")}
    data = Again(made.data) if isinstance(made.data, dict) else made.data
    return made.model_copy(update={**kept, "data": data})


_REQUESTS = Remembered(_bare_request)


def _event_id(sent: Mapping[str, Any]) -> str:
    named = str(sent.get("event_id", "")).replace("-", "").lower()
    if EVENT_ID.match(named):
        return named
    return hashlib.sha256(
        json.dumps(sent, sort_keys=True, default=repr).encode("utf-8", "replace")
    ).hexdigest()[:32]


def _message(sent: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The text of a logged message, and the template that it was made from where the SDK sent both."""
    entry = sent.get("logentry") or sent.get("sentry.interfaces.Message") or sent.get("message")
    if not isinstance(entry, dict):
        return text(entry), None
    template = text(entry.get("message"))
    shown = text(entry.get("formatted")) or (text(sent.get("message")) if "logentry" in sent else None)
    if shown is None and template is not None:
        shown = _filled(template, entry.get("params"))
    return shown, template


def _filled(template: str, params: Any) -> str:
    try:
        if isinstance(params, dict):
            return clean(template % params)
        if isinstance(params, list) and params:
            return clean(template % tuple(bounded(params, 400)))
    except (TypeError, ValueError, KeyError, OverflowError, MemoryError):
        return template
    return template


def _exceptions(raised: list[dict[str, Any]], platform: str) -> tuple[ExceptionValue, ...]:
    return tuple(_exception(item, _chained(raised, at), platform) for at, item in enumerate(raised))


def _exception(item: dict[str, Any], chained: str | None, platform: str) -> ExceptionValue:
    mechanism = mapping(item.get("mechanism"))
    handled = mechanism.get("handled")
    return ExceptionValue(
        type=text(item.get("type"), 200) or "",
        value=text(item.get("value")) or "",
        module=text(item.get("module"), 200),
        mechanism=text(mechanism.get("type"), 100),
        handled=handled if isinstance(handled, bool) else None,
        frames=frames_of(item.get("stacktrace"), platform),
        chained=chained,
    )


def _chained(raised: list[dict[str, Any]], at: int) -> str | None:
    """How an exception hangs on the one before it in the list."""
    if at == 0:
        return None
    before, own = mapping(raised[at - 1].get("mechanism")), mapping(raised[at].get("mechanism"))
    if own.get("is_exception_group"):
        return "group"
    source = str(before.get("source", ""))
    if source.startswith(("exceptions[", "errors[")):
        return None if before.get("parent_id") != own.get("exception_id") else "group"
    return "cause" if source in ("__cause__", "cause") else "context"


def frames_of(stacktrace: Any, platform: str) -> tuple[Frame, ...]:
    """The frames, oldest first; of a deep recursion the first and the last fifty, with a mark between
    them."""
    sent = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    if not isinstance(sent, list):
        return ()
    left_out = len(sent) - FRAME_LIMIT
    wanted = sent if left_out <= 0 else [*sent[:50], *([{}] * left_out), *sent[-50:]]
    read = (
        _sent_frame(frame, platform) if isinstance(frame, bytes) else frame_of(frame, platform)
        for frame in wanted
    )
    return trimmed(tuple(frame for frame in read if frame is not None))


_EMPTY = Frame()


def _sent_frame(part: bytes, platform: str) -> Frame | None:
    """A frame as it was sent. Its locals differ from event to event where the rest of it does not: they are read
    apart, and the rest is the very same object again."""
    found = _FRAMES.known(part, platform)
    if found is not None:
        return found
    at = part.find(_VARS)
    if at < 0:
        return _FRAMES.of(part, platform)
    said = parts_of(part).get("vars")
    if said is None or said[:1] != b"{" or part[at + len(_VARS) :].lstrip()[: len(said)] != said:
        return _FRAMES.of(part, platform)
    bare = _FRAMES.of(part[:at] + _VARS + b"{}" + part[at:].partition(said)[2], platform)
    if bare is None:
        return None
    return _FRAMES.add(part, platform, bare.model_copy(update={"vars": bounded_parts(said)}))


def frame_of(sent: Any, platform: str) -> Frame | None:
    """A frame; None where it is no object."""
    if not isinstance(sent, dict):
        return None
    if not sent:
        return _EMPTY
    filename, abs_path = text(sent.get("filename"), 1024), text(sent.get("abs_path"), 1024)
    local = sent.get("vars")
    return Frame(
        function=text(sent.get("function"), 400),
        module=text(sent.get("module"), 400),
        filename=filename,
        abs_path=abs_path,
        lineno=integer(sent.get("lineno")),
        colno=integer(sent.get("colno")),
        in_app=_in_app(sent.get("in_app"), abs_path or filename or "", platform),
        pre_context=strings(sent.get("pre_context"), 20),
        context_line=text(sent.get("context_line"), 1024),
        post_context=strings(sent.get("post_context"), 20),
        vars=bounded(local) if isinstance(local, dict) else {},
    )


_VARS = b'"vars":'
_FRAMES = Remembered(lambda part, platform: frame_of(decoded(part), platform))


def _in_app(said: Any, path: str, platform: str) -> bool:
    """The sender's word, except for frozen modules (the Python SDK calls them in-app); without it, the
    language's rule."""
    if isinstance(said, bool):
        return said and _FROZEN.search(path) is None
    language = by_name(platform)
    return language.in_app(path) if language else False


def _stack_of_message(
    sent: Mapping[str, Any], message: str | None, platform: str
) -> tuple[ExceptionValue, ...]:
    """A message that was sent with a stack (of the calling thread) is a nameless exception with these
    frames."""
    threads = [thread for thread in values(sent.get("threads")) if isinstance(thread, dict)]
    chosen = next((thread for thread in threads if thread.get("crashed") or thread.get("current")), None)
    frames = frames_of((chosen or {}).get("stacktrace") or sent.get("stacktrace"), platform)
    return (ExceptionValue(type="", value=message or "", handled=True, frames=frames),) if frames else ()


def _breadcrumbs(sent: Any) -> tuple[Breadcrumb, ...]:
    crumbs = [crumb for crumb in values(sent) if isinstance(crumb, dict)] if sent else []
    return tuple(_breadcrumb(crumb) for crumb in crumbs[-BREADCRUMB_LIMIT:])


def _breadcrumb(sent: dict[str, Any]) -> Breadcrumb:
    at = moment(sent.get("timestamp"), _NEVER)
    return Breadcrumb(
        timestamp=None if at is _NEVER else at,
        category=text(sent.get("category"), 200) or text(sent.get("type"), 200),
        level=text(sent.get("level"), 16),
        message=text(sent.get("message"), 2048),
        data=bounded(mapping(sent.get("data")), 1024),
    )


def _contexts(sent: Mapping[str, Any], template: str | None) -> dict[str, Any]:
    """The contexts, and under `logentry` and `modules` what the event says beside them."""
    kept = dict(list(bounded_parts(sent.get("contexts")).items())[:KNOWN_CONTEXTS])
    if template is not None:
        kept["logentry"] = {"template": template}
    if ids := _debug_ids(sent):
        kept["source_maps"] = {"debug_ids": ids}
    modules = sent.get("modules")
    packages = _MODULES.of(modules) if isinstance(modules, bytes) else _modules(modules)
    return {**kept, "modules": packages} if packages else kept


def _modules(sent: Any) -> dict[str, str]:
    """What was installed: name and version."""
    return {key: clean(str(version), 100) for key, version in list(mapping(sent).items())[:1000]}


_MODULES = Remembered(lambda part, _: _modules(decoded(part)))


def _debug_ids(sent: Mapping[str, Any]) -> dict[str, str]:
    """Bundle's address to the id that its bundler gave it, as the SDK says."""
    images = mapping(sent.get("debug_meta")).get("images")
    found = {}
    for image in (images if isinstance(images, list) else [])[:KNOWN_CONTEXTS]:
        told = mapping(image)
        address, named = text(told.get("code_file"), 1024), text(told.get("debug_id"), 64)
        if told.get("type") == "sourcemap" and address and named:
            found[address] = named
    return found


def _sdk(sent: Any) -> str | None:
    sdk = mapping(sent)
    name, version = text(sdk.get("name"), 100), text(sdk.get("version"), 50)
    return f"{name} {version}" if name and version else name


def _marks(sent: Mapping[str, Any], raised: list[dict[str, Any]]) -> tuple[Redaction, ...]:
    if not (meta := sent.get("_meta")):
        return ()
    return marks_of(meta, [_frames_sent(item.get("stacktrace")) for item in raised])


def _frames_sent(stacktrace: Any) -> int:
    frames = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    return len(frames) if isinstance(frames, list) else 0
