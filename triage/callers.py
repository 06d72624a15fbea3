"""What a caller did, whichever the language: went away before the answer was done, or sent bytes that are no request.

Asked of the stack: the words alone ("broken pipe") say nothing of whose connection it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from store.event import ExceptionValue, Frame
from triage import foreign

_SERVING = re.compile(
    r"net/http/server|raw-body|body-parser|node:_?http|\bhttp_server|_http_(?:server|incoming|outgoing)"
    r"|catalina|coyote|jetty|undertow|tomcat|org\.springframework\.(?:web|http)"
    r"|netty\.(?:handler\.codec\.)?http"
    r"|puma|unicorn|passenger|webrick|actionpack|action_controller|/rack[-/]|Kestrel|Microsoft\.AspNetCore"
    r"|System\.Web"
    r"|cowboy|bandit|/plug/|hyper|axum|actix|rocket|wsgiref|socketserver|http[./]server"
    r"|werkzeug[./](?:serving|wsgi)"
    r"|gunicorn|uvicorn|hypercorn|waitress|daphne|cheroot|aiohttp[./]web|django[./](?:core[./](?:servers"
    r"|handlers)|http)"
    r"|starlette|tornado[./](?:web|http1connection)|flask|grpc[./]_server|websockets[./](?:legacy[./]"
    r"|asyncio[./])?server",
    re.I,
)
_OUTBOUND = re.compile(
    r"\baxios\b|node-fetch|undici|node:_http_client|_http_client|ioredis|/pg/|mysql2?/|mongodb|kafkajs"
    r"|amqplib|@aws-sdk"
    r"|java\.net\.http|HttpClient|okhttp|RestTemplate|WebClient|jedis|lettuce|com\.mysql|org\.postgresql"
    r"|kafka|hikari"
    r"|faraday|net/http(?:\.rb|/)|httparty|rest-client|redis|elasticsearch|System\.Net\.Http|SqlClient|Npgsql"
    r"|guzzle|curl|predis|doctrine",
    re.I,
)
_GO_SERVER = re.compile(r"\bnet/http/server\.go\b|\bnet/http\.\(\*(?:conn|response)\)")
_GONE = re.compile(
    r"^(?:net/http: abort Handler|context canceled|request (?:was )?aborted|aborted|client disconnected"
    r"|BadRequestError: request aborted|Client network socket disconnected.*|The client has disconnected.*"
    r"|(?:java\.io\.IOException: |\[Errno 32\] )?broken pipe"
    r"|(?:java\.io\.IOException: )?connection reset(?: by peer)?"
    r"|write EPIPE|read ECONNRESET|(?:stream )?closed|premature close|stream (?:is )?closed(?: prematurely)?"
    r"|unexpected end of (?:request content|stream|form)|no more data after.*|the operation was canceled\.?"
    r"|a task was canceled\.?|cannot write to (?:a )?clos(?:ing|ed) (?:transport|stream)"
    r"|i/o error while reading input.*"
    r"|write (?:tcp|unix) .*: write: (?:broken pipe|connection reset by peer)"
    r"|read (?:tcp|unix) .*: read: connection reset by peer|bytes_read=\d+)$",
    re.I,
)
_LOCAL_AND_REMOTE = re.compile(r"(?:read|write) tcp \S+:(?P<ours>\d+)->\S+:(?P<theirs>\d+): ")
_EPHEMERAL = 32768  # from here on a system chooses ports for those who call
_ANSWERING = re.compile(
    r"\b(?:res|resp|response|reply|rw|w|wfile|Response\.\w+|start_response|self\.(?:write|flush|finish))\b"
    r"|\b(?:r|req|request|c\.Request|ctx\.Request|HttpContext|context)\.(?:Context\(\)|RequestAborted"
    r"|signal|body)"
)
_CANCELLED = re.compile(r"^System\.(?:OperationCanceledException|Threading\.Tasks\.TaskCanceledException)$")
_OWN_PIPE = re.compile(r"\b(?:stdin|popen|proc(?:ess)?|child|subprocess|sock(?:et)?|conn(?:ection)?)\b", re.I)

_RUNTIME = re.compile(
    r"^\s*(?:node:|internal/(?:process|modules|streams?|timers|url|util|event_target)\b|java\.|javax?\."
    r"|jdk\.|sun\.|System\.|<frozen)"
    r"|/lib/python3[.\d]*/(?!site-packages|dist-packages)|/lib/ruby/\d[.\d]*/(?!gems|bundler)"
    r"|/usr/local/go/src/"
)
_PARSERS = re.compile(
    r"/(?:body-parser|raw-body|busboy|multer|formidable|co-body|koa-body|koa-bodyparser|@hapi/subtext|qs"
    r"|content-type)/"
    r"|/express/lib/router/layer|/fastify/lib/contentTypeParser|/router/lib/layer"
    r"|/rack[-\d.]*/(?:lib/rack/)?(?:multipart|query_parser|utils\.rb|request\.rb)"
    r"|/action_dispatch/(?:http/(?:parameters|request|url|mime|param)|request/utils)"
    r"|werkzeug[./](?:formparser|sansio|wrappers[./]request)|django[./]http[./](?:multipartparser|request)"
    r"|starlette[./]formparsers|(?:python_)?multipart[./](?:multipart|decoders|exceptions)"
    r"|aiohttp[./](?:http_parser|multipart|web_protocol)|\bh11[./]"
    r"|\bhttptools[./]|\bwsproto[./]|tornado[./](?:http1connection|httputil)|cheroot[./]|gunicorn[./]http[./]"
    r"|org\.apache\.(?:coyote|tomcat\.util\.(?:http|buf)|catalina\.connector)|org\.eclipse\.jetty\.(?:http"
    r"|server\.Multi)"
    r"|io\.undertow\.(?:server|util)|StrictHttpFirewall|Kestrel\.Core|/plug/(?:parsers|conn/(?:query|utils))"
    r"|/puma[-\d.]*/(?:lib/puma/)?client|cowboy|symfony/http-foundation/Request"
    r"|Microsoft\.AspNetCore\.WebUtilities",
    re.I,
)
_REFUSES = re.compile(  # what parsers throw at bytes; a TypeError in one is a bug
    r"^(?:SyntaxError|URIError|EOFError|ValueError|UnicodeDecodeError|Error|ArgumentError|BadRequestError"
    r"|IllegalArgumentException|IOException|InvalidDataException|PayloadTooLargeError"
    r"|UnsupportedMediaTypeError"
    r"|[\w.:]*(?:Parse|Parser|BadRequest|BadHttp|InvalidRequest|Invalid\w*|Multipart|Encoding"
    r"|RequestRejected|TooLarge"
    r"|Limit|Unexpected|Incomplete|Protocol|NoMoreData)\w*)$"
)
_NO_REQUEST = re.compile(
    r"^http: TLS handshake error from |^Invalid character found in (?:method name|the (?:request target"
    r"|HTTP protocol))"
    r"|^Invalid HTTP request received|\bcode 400, message Bad (?:request|HTTP)|^Bad request (?:version"
    r"|syntax)\b"
    r"|^Invalid HTTP (?:format|method), parsing fails|^HTTP parse error, malformed request"
)


def client_gone(raised: ExceptionValue, *, in_request: bool) -> bool:
    """The client went away: the server's own exception for it, or its words where a server was reading or answering."""
    name = foreign.qualified(raised)
    if name in foreign.DISCONNECTS:
        return True
    said = raised.value.strip()
    if not _GONE.match(said) or _outbound(raised):
        return False
    ports = _LOCAL_AND_REMOTE.match(said)
    if ports is not None:
        return int(ports["ours"]) < _EPHEMERAL <= int(ports["theirs"]) and _of_server(raised, in_request)
    if _CANCELLED.match(name):
        return in_request and any(_SERVING.search(_place(frame)) for frame in raised.frames)
    return _of_server(raised, in_request)


def own_pipe(frames: Sequence[Frame]) -> bool:
    """Whether what broke is a pipe or socket that own code had opened: to a child, to another service."""
    return any(frame.in_app and _OWN_PIPE.search(frame.context_line or "") for frame in frames[-3:])


def unreadable_request(raised: ExceptionValue) -> bool:
    """The bytes that came are no request, says a parser: the innermost code that is not the runtime's."""
    if _NO_REQUEST.search(raised.value):
        return True
    if not _REFUSES.match(raised.type):
        return False
    places = [_place(frame) for frame in raised.frames]
    parser = next((place for place in reversed(places) if not _RUNTIME.search(place)), "")
    return _PARSERS.search(parser) is not None


def _of_server(raised: ExceptionValue, in_request: bool) -> bool:
    """The innermost code that is not the runtime's is a server, or own code at a request's own stream. Farther out says
    nothing: every request has a server on its stack, and a client of something else could be what failed."""
    for frame in reversed(raised.frames):
        place = _place(frame)
        if _SERVING.search(place):
            return True
        if not _RUNTIME.search(place):
            return in_request and frame.in_app and _ANSWERING.search(frame.context_line or "") is not None
    return False


def _outbound(raised: ExceptionValue) -> bool:
    """A client of some other service is on the stack (Go's server and client share their package)."""
    return any(
        _OUTBOUND.search(place) and not _GO_SERVER.search(place) and not _SERVING.search(place)
        for place in map(_place, raised.frames[-8:])
    )


def _place(frame: Frame) -> str:
    path = frame.abs_path or frame.filename or ""
    return f" {frame.module or ''} {path if path.startswith('/') or ':' in path else '/' + path}"
