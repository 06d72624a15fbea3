"""Families of failures in languages other than Python, by the full name of the exception or by what the system
call said. Tables and small questions on them."""

from __future__ import annotations

import re

from store.event import ExceptionValue
from triage.statuses import status_named
from triage.words import words

_FRAMEWORKS = words(
    r"""
    Symfony\Component\HttpKernel\Exception\ Symfony\Component\Security\ Illuminate\Auth\
    Illuminate\Http\Exceptions\ yii\web\ Cake\Http\Exception\ Slim\Exception\ League\Route\Http\Exception\
    jakarta.ws.rs. javax.ws.rs. io.micronaut.http. io.javalin.http.
    io.quarkus.security. org.springframework.security. ActionController:: ActionDispatch:: Sinatra:: Grape::
    Hanami::Action Pundit:: CanCan:: Phoenix.Router. Plug. Microsoft.AspNetCore.
    """
)
_STATUS = {
    name: int(status)
    for name, status in (
        line.split()
        for line in r"""
        ActionController::RoutingError 404
        ActionController::UnknownFormat 406
        ActionController::UnknownHttpMethod 405
        ActionController::ParameterMissing 400
        ActionController::InvalidAuthenticityToken 422
        ActionController::InvalidCrossOriginRequest 422
        ActionDispatch::RemoteIp::IpSpoofAttackError 400
        ActionDispatch::Http::MimeNegotiation::InvalidType 406
        Rack::QueryParser::InvalidParameterError 400
        Rack::QueryParser::ParameterTypeError 400
        Rack::QueryParser::ParamsTooDeepError 400
        Rack::Multipart::MultipartPartLimitError 413
        Pundit::NotAuthorizedError 403
        CanCan::AccessDenied 403
        Grape::Exceptions::ValidationErrors 400
        Illuminate\Validation\ValidationException 422
        Illuminate\Auth\AuthenticationException 401
        Illuminate\Auth\Access\AuthorizationException 403
        Illuminate\Session\TokenMismatchException 419
        Illuminate\Http\Exceptions\PostTooLargeException 413
        Illuminate\Http\Exceptions\ThrottleRequestsException 429
        org.springframework.web.HttpRequestMethodNotSupportedException 405
        org.springframework.web.HttpMediaTypeNotSupportedException 415
        org.springframework.web.HttpMediaTypeNotAcceptableException 406
        org.springframework.web.bind.MethodArgumentNotValidException 400
        org.springframework.validation.BindException 400
        org.springframework.web.bind.MissingServletRequestParameterException 400
        org.springframework.web.bind.MissingRequestHeaderException 400
        org.springframework.web.bind.MissingRequestCookieException 400
        org.springframework.web.bind.ServletRequestBindingException 400
        org.springframework.web.bind.UnsatisfiedServletRequestParameterException 400
        org.springframework.web.bind.support.WebExchangeBindException 400
        org.springframework.web.method.annotation.MethodArgumentTypeMismatchException 400
        org.springframework.web.method.annotation.HandlerMethodValidationException 400
        org.springframework.web.multipart.MaxUploadSizeExceededException 413
        org.springframework.web.multipart.support.MissingServletRequestPartException 400
        org.springframework.web.server.ServerWebInputException 400
        org.springframework.web.server.MethodNotAllowedException 405
        org.springframework.web.server.UnsupportedMediaTypeStatusException 415
        org.springframework.web.servlet.NoHandlerFoundException 404
        org.springframework.web.servlet.resource.NoResourceFoundException 404
        org.springframework.web.reactive.resource.NoResourceFoundException 404
        org.springframework.http.converter.HttpMessageNotReadableException 400
        org.springframework.security.web.firewall.RequestRejectedException 400
        org.springframework.security.access.AccessDeniedException 403
        org.springframework.security.authorization.AuthorizationDeniedException 403
        org.springframework.security.authentication.BadCredentialsException 401
        org.springframework.security.authentication.InsufficientAuthenticationException 401
        org.springframework.security.web.csrf.InvalidCsrfTokenException 403
        org.springframework.security.web.csrf.MissingCsrfTokenException 403
        Microsoft.AspNetCore.Http.BadHttpRequestException 400
        Microsoft.AspNetCore.Server.Kestrel.Core.BadHttpRequestException 400
        Microsoft.AspNetCore.Server.IIS.BadHttpRequestException 400
        Microsoft.AspNetCore.Antiforgery.AntiforgeryValidationException 400
        Phoenix.Router.NoRouteError 404
        Phoenix.NotAcceptableError 406
        Phoenix.ActionClauseError 400
        Plug.CSRFProtection.InvalidCSRFTokenError 403
        Plug.Conn.InvalidQueryError 400
        Plug.Static.InvalidPathError 400
        Plug.TimeoutError 408
        """.strip().splitlines()
    )
}
# In a request these are how a framework answers 4xx, or a credential that the caller brought; elsewhere, a bug of ours.
_STATUS_IN_REQUESTS = {
    name: int(status)
    for name, status in (
        line.split()
        for line in r"""
        ActiveRecord::RecordNotFound 404
        Mongoid::Errors::DocumentNotFound 404
        Illuminate\Database\Eloquent\ModelNotFoundException 404
        Ecto.NoResultsError 404
        Ecto.Query.CastError 400
        jwt.exceptions.ExpiredSignatureError 401
        jwt.exceptions.InvalidSignatureError 401
        jwt.exceptions.InvalidTokenError 401
        jwt.exceptions.DecodeError 401
        jwt.exceptions.ImmatureSignatureError 401
        jose.exceptions.ExpiredSignatureError 401
        jose.exceptions.JWTError 401
        jose.exceptions.JWSError 401
        itsdangerous.exc.BadSignature 401
        itsdangerous.exc.SignatureExpired 401
        itsdangerous.exc.BadTimeSignature 401
        itsdangerous.exc.BadData 401
        JsonWebTokenError 401
        TokenExpiredError 401
        NotBeforeError 401
        JWT::ExpiredSignature 401
        JWT::DecodeError 401
        JWT::VerificationError 401
        Firebase\JWT\ExpiredException 401
        Firebase\JWT\BeforeValidException 401
        Firebase\JWT\SignatureInvalidException 401
        io.jsonwebtoken.ExpiredJwtException 401
        io.jsonwebtoken.MalformedJwtException 401
        io.jsonwebtoken.security.SignatureException 401
        com.auth0.jwt.exceptions.TokenExpiredException 401
        com.auth0.jwt.exceptions.SignatureVerificationException 401
        com.auth0.jwt.exceptions.JWTDecodeException 401
        Microsoft.IdentityModel.Tokens.SecurityTokenExpiredException 401
        Microsoft.IdentityModel.Tokens.SecurityTokenMalformedException 401
        Microsoft.IdentityModel.Tokens.SecurityTokenInvalidSignatureException 401
        """.strip().splitlines()
    )
}
_STATUS_IN_TEXT = re.compile(r"^(?P<status>4\d\d) [A-Z][A-Z_]+\b")  # Spring's ResponseStatusException
_NODE_FRAMEWORKS = re.compile(
    r"/(?:@nestjs|http-errors|express|koa[\w-]*|@koa|fastify|@fastify|@hapi|restify-errors|csurf"
    r"|body-parser|raw-body"
    r"|finalhandler|send|serve-static|@feathersjs|@trpc|next)/"
)
DISCONNECTS = frozenset(
    words(
        r"""
    org.apache.catalina.connector.ClientAbortException org.eclipse.jetty.io.EofException
    org.eclipse.jetty.io.QuietException
    org.springframework.web.context.request.async.AsyncRequestNotUsableException
    reactor.netty.channel.AbortedException reactor.netty.http.server.AbortedException
    io.netty.handler.codec.PrematureChannelClosureException
    io.ktor.util.cio.ChannelWriteException io.ktor.utils.io.ClosedWriteChannelException
    org.apache.coyote.CloseNowException
    Puma::ConnectionError Puma::HttpParserError Phusion::Passenger::UnionStation::ClientDisconnected
    Unicorn::ClientShutdown Unicorn::HttpParserError Falcon::ClientDisconnected
    ActionController::Live::ClientDisconnected
    Async::HTTP::Protocol::RequestFailed
    Microsoft.AspNetCore.Connections.ConnectionResetException
    Microsoft.AspNetCore.Connections.ConnectionAbortedException http.ErrAbortHandler
    Bandit.TransportError Bandit.HTTPError
    """
    )
)
_INTERRUPTS = frozenset(
    words(
        r"""
    Interrupt SignalException SystemExit java.lang.ThreadDeath Sidekiq::Shutdown Resque::TermException
    Async::Stop kotlinx.coroutines.JobCancellationException GoodJob::InterruptError
    SolidQueue::Processes::ProcessExitError
    celery.exceptions.WorkerShutdown celery.exceptions.WorkerTerminate gunicorn.errors.HaltServer
    """
    )
)
_STOPPED = re.compile(r"^http: Server closed$")
_INFRASTRUCTURE = frozenset(
    words(
        r"""
    java.net.ConnectException java.net.SocketTimeoutException java.net.UnknownHostException
    java.net.NoRouteToHostException java.net.SocketException java.net.http.HttpConnectTimeoutException
    java.net.http.HttpTimeoutException java.lang.OutOfMemoryError javax.net.ssl.SSLHandshakeException
    org.apache.http.conn.ConnectTimeoutException org.apache.http.conn.HttpHostConnectException
    org.apache.http.NoHttpResponseException org.springframework.web.client.ResourceAccessException
    java.sql.SQLTransientConnectionException java.sql.SQLNonTransientConnectionException
    java.sql.SQLRecoverableException java.sql.SQLTimeoutException
    org.springframework.jdbc.CannotGetJdbcConnectionException
    org.springframework.transaction.CannotCreateTransactionException
    org.springframework.dao.QueryTimeoutException org.springframework.dao.DataAccessResourceFailureException
    org.springframework.amqp.AmqpConnectException org.springframework.amqp.AmqpTimeoutException
    org.springframework.data.redis.RedisConnectionFailureException
    com.mysql.cj.jdbc.exceptions.CommunicationsException
    redis.clients.jedis.exceptions.JedisConnectionException
    io.lettuce.core.RedisConnectionException io.lettuce.core.RedisCommandTimeoutException
    org.apache.kafka.common.errors.TimeoutException org.apache.kafka.common.errors.DisconnectException
    com.mongodb.MongoTimeoutException com.mongodb.MongoSocketReadException
    com.mongodb.MongoSocketOpenException
    org.elasticsearch.client.ResponseTimeoutException
    Errno::ECONNREFUSED Errno::ECONNRESET Errno::ETIMEDOUT Errno::EHOSTUNREACH Errno::ENETUNREACH
    Errno::ENOSPC Errno::EMFILE Errno::ENFILE Errno::ENOMEM Errno::EROFS Errno::ECONNABORTED
    Errno::EADDRNOTAVAIL
    Net::OpenTimeout Net::ReadTimeout Net::WriteTimeout SocketError OpenSSL::SSL::SSLError PG::ConnectionBad
    PG::UnableToSend Mysql2::Error::ConnectionError Mysql2::Error::TimeoutError Redis::CannotConnectError
    Redis::TimeoutError Redis::ConnectionError RedisClient::CannotConnectError RedisClient::ReadTimeoutError
    RedisClient::ConnectionError RedisClient::TimeoutError RedisClient::ReadOnlyError NoMemoryError
    ActiveRecord::ConnectionNotEstablished ActiveRecord::ConnectionTimeoutError ActiveRecord::ConnectionFailed
    ActiveRecord::DatabaseConnectionError ActiveRecord::StatementTimeout ActiveRecord::AdapterTimeout
    ActiveRecord::QueryCanceled ActiveRecord::LockWaitTimeout
    Faraday::ConnectionFailed Faraday::TimeoutError Faraday::SSLError HTTP::ConnectionError HTTP::TimeoutError
    RestClient::Exceptions::OpenTimeout RestClient::Exceptions::ReadTimeout Excon::Error::Socket
    Excon::Error::Timeout
    Elasticsearch::Transport::Transport::ServerUnavailableError Bunny::TCPConnectionFailed
    System.Net.Sockets.SocketException System.OutOfMemoryException System.TimeoutException
    Npgsql.NpgsqlException StackExchange.Redis.RedisConnectionException
    StackExchange.Redis.RedisTimeoutException RabbitMQ.Client.Exceptions.BrokerUnreachableException
    MongoDB.Driver.MongoConnectionException Polly.Timeout.TimeoutRejectedException
    GuzzleHttp\Exception\ConnectException RedisException Predis\Connection\ConnectionException
    Illuminate\Http\Client\ConnectionException Doctrine\DBAL\Exception\ConnectionException
    Doctrine\DBAL\Exception\ConnectionLost Symfony\Component\HttpClient\Exception\TransportException
    Elasticsearch\Common\Exceptions\NoNodesAvailableException
    MongoNetworkError MongoServerSelectionError MongooseServerSelectionError MongoNetworkTimeoutError
    SequelizeConnectionError SequelizeConnectionRefusedError SequelizeConnectionAcquireTimeoutError
    SequelizeHostNotFoundError KnexTimeoutError PrismaClientInitializationError MaxRetriesPerRequestError
    ClusterAllFailedError ConnectTimeoutError HeadersTimeoutError BodyTimeoutError KafkaJSConnectionError
    KafkaJSNumberOfRetriesExceeded
    DBConnection.ConnectionError Mint.TransportError Redix.ConnectionError Finch.TransportError
    """
    )
)
_SYSTEM = re.compile(
    r"\b(?:ECONNREFUSED|ETIMEDOUT|ESOCKETTIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOSPC"
    r"|EMFILE|ENFILE"
    r"|ENOMEM|EROFS|ECONNRESET|EPIPE|ECONNABORTED|CERT_HAS_EXPIRED)\b"
    r"|\b(?:dial|read|write) (?:tcp|udp|unix)\b.*(?:connection refused|i/o timeout|connection reset by peer"
    r"|no route)"
    r"|\blookup \S+.*: (?:no such host|i/o timeout|server misbehaving)|\b[Nn]o space left on device\b"
    r"|\(os error (?:12|23|24|28|30|104|110|111|113)\)"
    r"|SQLSTATE\[(?:08\w{3}|HY000)\] \[20\d\d\]|SQLSTATE\[08\w{3}\]|\bsocket hang up$"
    r"|\bStatusCode\.(?:UNAVAILABLE|DEADLINE_EXCEEDED)\b|\bcode = (?:Unavailable|DeadlineExceeded)\b"
    r"|\b(?:14 UNAVAILABLE|4 DEADLINE_EXCEEDED): |context deadline exceeded"
    r"|^timeout of \d+ ?ms exceeded$|^Network Error$|\bcURL error (?:6|7|28|35|52|56|60)\b"
    r"|Execution Timeout Expired|\bA (?:network-related or instance-specific|transport-level) error\b"
    r"|\bHttpClient\.Timeout\b|\bConnection is not available, request timed out\b"
    r"|^(?:\S+ )?Connection (?:refused|timed out|reset by peer)\b"
    r"|\bserver closed the connection unexpectedly\b"
    r"|\bserver has gone away\b|\bLost connection to MySQL server\b|\btoo many (?:clients already"
    r"|connections for role)\b"
    r"|\bToo many (?:connections|open files)\b|\bremaining connection slots are reserved\b"
    r"|\bcould not connect to server\b"
    r"|\bterminating connection due to (?:administrator command|idle)"
    r"|\bthe database system is (?:starting up|shutting down)"
    r"|\bread[- ]only (?:replica|file ?system)\b|^LOADING Redis is loading|^CLUSTERDOWN\b"
    r"|^OOM command not allowed"
    r"|\bCannot allocate memory\b|\b[Tt]emporary failure in name resolution\b|\bcertificate has expired\b"
    r"|\bunable to create (?:new )?native thread\b|\bno healthy upstream\b|\bupstream connect error\b",
    re.I,
)

_ANSWERED = re.compile(
    r"^Request failed with status code (?P<axios>\d{3})|status code does not indicate success: (?P<net>\d{3})"
    r"|\bserver responded with status (?P<faraday>\d{3})|\bresulted in a `(?P<guzzle>\d{3}) "
    r"|^HTTP request returned status code (?P<laravel>\d{3})"
    r"|^An error occurred \((?P<aws>[\w.]+)\) when calling the "
)
_AWS = re.compile(
    r"Throttl|SlowDown|RequestLimitExceeded|ServiceUnavailable|Internal(?:Error|Failure|ServerError)"
    r"|TooManyRequests"
    r"|ProvisionedThroughputExceeded|RequestTimeout|BandwidthLimitExceeded"
)
_OVERLOADED = frozenset(
    words(
        r"""
    org.springframework.web.client.HttpServerErrorException GuzzleHttp\Exception\ServerException
    Faraday::ServerError
    RestClient::ServiceUnavailable RestClient::BadGateway RestClient::GatewayTimeout
    RestClient::InternalServerError
    RestClient::TooManyRequests Net::HTTPFatalError HTTPServiceUnavailable
    feign.FeignException$ServiceUnavailable
    feign.RetryableException google.api_core.exceptions.ServiceUnavailable
    google.api_core.exceptions.InternalServerError
    google.api_core.exceptions.BadGateway google.api_core.exceptions.TooManyRequests
    google.api_core.exceptions.DeadlineExceeded google.api_core.exceptions.ResourceExhausted
    google.api_core.exceptions.RetryError stripe._error.APIConnectionError stripe._error.RateLimitError
    stripe._error.APIError stripe.error.APIConnectionError stripe.error.RateLimitError stripe.error.APIError
    openai.RateLimitError openai.APITimeoutError openai.APIConnectionError openai.InternalServerError
    anthropic.RateLimitError anthropic.APITimeoutError anthropic.APIConnectionError
    anthropic.InternalServerError
    anthropic.OverloadedError slack_sdk.errors.SlackRequestError elastic_transport.ConnectionTimeout
    """
    )
)


def upstream_status(raised: ExceptionValue) -> int | None:
    """The status with which another service answered, as its client says; None where none did."""
    match = _ANSWERED.search(raised.value[:2000])
    if match is not None:
        if code := match["aws"]:
            return 503 if _AWS.search(code) else 400
        return int(next(part for part in match.groups() if part))
    return 503 if qualified(raised) in _OVERLOADED else None


def qualified(raised: ExceptionValue) -> str:
    """The exception's name with the package that it comes from, as its language writes it."""
    module = raised.module
    if not module or any(mark in raised.type for mark in (module, "::", "\\")):
        return raised.type
    return f"{module}\\{raised.type}" if "\\" in module else f"{module}.{raised.type}"


def http_status(raised: ExceptionValue, *, in_request: bool) -> int | None:
    """The status that a web framework's exception stands for; None for every other."""
    name = qualified(raised)
    if (known := _STATUS.get(name)) is not None:
        return known
    if in_request and (known := _STATUS_IN_REQUESTS.get(name)) is not None:
        return known
    if name == "org.springframework.web.server.ResponseStatusException":
        match = _STATUS_IN_TEXT.match(raised.value)
        return int(match["status"]) if match else None
    if name.startswith(_FRAMEWORKS) or _NODE_FRAMEWORKS.search(_innermost(raised)):
        return status_named(re.split(r"[.:\\]", name)[-1])
    return None


def is_interrupt(raised: ExceptionValue) -> bool:
    """Stopped on purpose."""
    return qualified(raised) in _INTERRUPTS or _STOPPED.match(raised.value) is not None


def is_infrastructure(raised: ExceptionValue) -> bool:
    """A machine, a network or a server that does not answer."""
    return qualified(raised) in _INFRASTRUCTURE or says_system(raised)


def says_system(raised: ExceptionValue) -> bool:
    """Whether the text is that of a failed system call, a network or a server that does not answer."""
    return _SYSTEM.search(raised.value[:2000]) is not None


def _innermost(raised: ExceptionValue) -> str:
    frame = raised.frames[-1] if raised.frames else None
    return f"/{(frame.abs_path or frame.filename or '').lstrip('/')}" if frame else ""
