"""Families of failures in languages other than Python, by the full name of the exception or by what the system
call said. Tables and small questions on them."""

from __future__ import annotations

import re

from store.event import ExceptionValue
from triage.words import words

_STATUS = {
    name: int(status)
    for name, status in (
        line.split()
        for line in """
        ActionController::RoutingError 404
        ActionController::UnknownFormat 406
        ActionController::BadRequest 400
        ActionController::ParameterMissing 400
        ActionController::InvalidAuthenticityToken 422
        ActionDispatch::Http::Parameters::ParseError 400
        Symfony\\Component\\HttpKernel\\Exception\\NotFoundHttpException 404
        Symfony\\Component\\HttpKernel\\Exception\\MethodNotAllowedHttpException 405
        Symfony\\Component\\HttpKernel\\Exception\\AccessDeniedHttpException 403
        Symfony\\Component\\HttpKernel\\Exception\\BadRequestHttpException 400
        Illuminate\\Validation\\ValidationException 422
        Illuminate\\Auth\\AuthenticationException 401
        org.springframework.web.HttpRequestMethodNotSupportedException 405
        org.springframework.web.HttpMediaTypeNotSupportedException 415
        org.springframework.web.HttpMediaTypeNotAcceptableException 406
        org.springframework.web.bind.MethodArgumentNotValidException 400
        org.springframework.web.bind.MissingServletRequestParameterException 400
        org.springframework.web.servlet.NoHandlerFoundException 404
        org.springframework.web.servlet.resource.NoResourceFoundException 404
        org.springframework.http.converter.HttpMessageNotReadableException 400
        jakarta.ws.rs.NotFoundException 404
        jakarta.ws.rs.BadRequestException 400
        javax.ws.rs.NotFoundException 404
        javax.ws.rs.BadRequestException 400
        Microsoft.AspNetCore.Http.BadHttpRequestException 400
        Microsoft.AspNetCore.Antiforgery.AntiforgeryValidationException 400
        """.strip().splitlines()
    )
}
_DISCONNECTS = frozenset(
    words(
        """
    org.apache.catalina.connector.ClientAbortException org.eclipse.jetty.io.EofException
    Puma::ConnectionError Puma::HttpParserError Phusion::Passenger::UnionStation::ClientDisconnected
    Microsoft.AspNetCore.Connections.ConnectionResetException
    Microsoft.AspNetCore.Connections.ConnectionAbortedException http.ErrAbortHandler
    """
    )
)
_GONE = re.compile(
    r"^(?:net/http: abort Handler|context canceled|request aborted|aborted|client disconnected"
    r"|BadRequestError: request aborted|Client network socket disconnected.*|The client has disconnected.*)$",
    re.I,
)
_SERVING = re.compile(r"net/http|raw-body|body-parser|node:_?http|catalina|jetty|puma|Kestrel", re.I)
_INTERRUPTS = frozenset({"Interrupt", "SignalException", "SystemExit", "java.lang.ThreadDeath"})
_INFRASTRUCTURE = frozenset(
    words(
        """
    java.net.ConnectException java.net.SocketTimeoutException java.net.UnknownHostException
    java.net.NoRouteToHostException java.net.SocketException java.net.http.HttpConnectTimeoutException
    java.net.http.HttpTimeoutException java.lang.OutOfMemoryError
    java.sql.SQLTransientConnectionException java.sql.SQLNonTransientConnectionException
    java.sql.SQLRecoverableException org.springframework.jdbc.CannotGetJdbcConnectionException
    com.mysql.cj.jdbc.exceptions.CommunicationsException redis.clients.jedis.exceptions.JedisConnectionException
    io.lettuce.core.RedisConnectionException io.lettuce.core.RedisCommandTimeoutException
    org.apache.kafka.common.errors.TimeoutException com.mongodb.MongoTimeoutException
    Errno::ECONNREFUSED Errno::ECONNRESET Errno::ETIMEDOUT Errno::EHOSTUNREACH Errno::ENETUNREACH
    Errno::ENOSPC Errno::EMFILE Net::OpenTimeout Net::ReadTimeout SocketError PG::ConnectionBad
    PG::UnableToSend Mysql2::Error::ConnectionError Redis::CannotConnectError Redis::TimeoutError
    RedisClient::CannotConnectError NoMemoryError ActiveRecord::ConnectionNotEstablished
    ActiveRecord::ConnectionTimeoutError Faraday::ConnectionFailed Faraday::TimeoutError
    System.Net.Sockets.SocketException System.OutOfMemoryException
    Npgsql.NpgsqlException StackExchange.Redis.RedisConnectionException
    StackExchange.Redis.RedisTimeoutException GuzzleHttp\\Exception\\ConnectException RedisException
    MongoNetworkError MongoServerSelectionError SequelizeConnectionError SequelizeConnectionRefusedError
    DBConnection.ConnectionError
    """
    )
)
_SYSTEM = re.compile(
    r"\b(?:ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOSPC|EMFILE|ENFILE|ENOMEM)\b"
    r"|\b(?:dial|read|write) (?:tcp|udp|unix)\b.*(?:connection refused|i/o timeout|connection reset by peer|no route)"
    r"|\blookup \S+.*: no such host|\bno space left on device\b|\(os error (?:12|24|28|104|110|111|113)\)"
    r"|SQLSTATE\[(?:08\w{3}|HY000)\] \[20\d\d\]|^socket hang up$"
    r"|\bStatusCode\.(?:UNAVAILABLE|DEADLINE_EXCEEDED)\b",
    re.I,
)


def qualified(raised: ExceptionValue) -> str:
    """The exception's name with the package that it comes from, as its language writes it."""
    module = raised.module
    if not module or any(mark in raised.type for mark in (module, "::", "\\")):
        return raised.type
    return f"{module}\\{raised.type}" if "\\" in module else f"{module}.{raised.type}"


def http_status(raised: ExceptionValue) -> int | None:
    """The status that a web framework's exception stands for; None for every other."""
    return _STATUS.get(qualified(raised))


def is_disconnect(raised: ExceptionValue) -> bool:
    """The client went away: the server's own exception for it, or its words on a stack of a server."""
    if qualified(raised) in _DISCONNECTS:
        return True
    where = " ".join(f"{frame.module or ''} {frame.abs_path or ''}" for frame in raised.frames[-6:])
    return _GONE.match(raised.value.strip()) is not None and _SERVING.search(where) is not None


def is_interrupt(raised: ExceptionValue) -> bool:
    """Stopped on purpose."""
    return qualified(raised) in _INTERRUPTS


def is_infrastructure(raised: ExceptionValue) -> bool:
    """A machine, a network or a server that does not answer."""
    return qualified(raised) in _INFRASTRUCTURE or _SYSTEM.search(raised.value[:2000]) is not None
