"""Families of failures: which exception types, texts, paths and senders mean what. Tables and small
questions on them.

Types are asked for with the module that they come from wherever a name alone could be the team's own class.
"""

from __future__ import annotations

import re

from store.event import ExceptionValue
from triage import foreign
from triage.statuses import PHRASES, status_named
from triage.words import words

HTTP_MODULES = words(
    """
    werkzeug. starlette. fastapi. django.http django.core.exceptions rest_framework. flask.
    aiohttp.web tornado.web falcon. sanic. litestar. quart. bottle pyramid.httpexceptions connexion.
    ninja. cherrypy webob.exc apiflask. flask_limiter. slowapi. robyn. blacksheep. emmett
    """
)
_STATUS_IN_VALUE = re.compile(r"^(?:HTTP )?(?P<status>[1-5]\d\d)\b")
_STATUS_IN_SOURCE = re.compile(
    r"(?:HTTPException|HTTPError|abort)\(\s*(?:status_code\s*=\s*|code\s*=\s*)?(?:[\w.]*HTTP_)?"
    r"(?P<status>[1-5]\d\d)"
    r"|status_code\s*=\s*(?:[\w.]*HTTP_)?(?P<named>[1-5]\d\d)"
)

DISCONNECTS = frozenset(
    words(
        """
    ClientDisconnect ClientDisconnected ClientDisconnectedError WebSocketDisconnect
    UnreadablePostError RequestAborted RequestDisconnected ClientConnectionResetError
    """
    )
)
_INTERRUPTS = frozenset({"KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError", "Cancelled"})
_INTERRUPTED_BY = words("builtins asyncio concurrent.futures anyio trio twisted.internet.defer")
_NO_TERMINAL = "EOF when reading a line"  # of `input()`: whoever was to answer has gone
EITHER_SIDE = frozenset({"StreamClosedError", "ConnectionClosedOK"})  # a server and its clients raise these
CLI_MODULES = words(
    """
    click typer argparse optparse docopt cyclopts fire cleo plac absl.flags traitlets.config tyro
    configargparse clize invoke.exceptions knack
    """
)
CLI_TYPES = frozenset(
    words(
        """
    UsageError BadParameter BadOptionUsage BadArgumentUsage MissingParameter NoSuchOption
    NoSuchCommand ArgumentError ArgumentTypeError OptionError BadOptionError OptionValueError
    DocoptExit ClickException Abort Exit NoArgsIsHelpError CoercionError FileError NoSuchOptionError
    UnrecognizedArgsError MissingArgumentError UnknownOptionError IllegalFlagValueError FireExit
    UnrecognizedFlagError
    """
    )
)
VALIDATION_MODULES = words(
    """
    marshmallow jsonschema django.core.exceptions django.forms wtforms voluptuous colander cerberus
    rest_framework fastapi.exceptions webargs schema cattrs msgspec trafaret schematics
    pydantic_core pydantic ninja.errors connexion validators email_validator fastjsonschema jsonschema_rs
    xmlschema strictyaml yamale pykwalify openapi_core flask_smorest phonenumbers apischema oauthlib.oauth2
    graphql.error flask_wtf.csrf rest_framework_simplejwt.exceptions
    """
)
VALIDATION_TYPES = frozenset(
    words(
        """
    ValidationError RequestValidationError WebSocketRequestValidationError Invalid MultipleInvalid
    DocumentError SchemaError ClassValidationError DataError EmailNotValidError StopValidation
    ParseError JsonSchemaValueException XMLSchemaValidationError YAMLValidationError YamaleError
    EmailSyntaxError EmailUndeliverableError NumberParseException SchemaMissingKeyError
    SchemaWrongKeyError SchemaForbiddenKeyError SchemaOnlyOneAllowedError InvalidGrantError
    InvalidClientError InvalidRequestError GraphQLSyntaxError CSRFError InvalidToken DataConversionError
    DataclassValidationError ForbiddenExtraKeysError BaseValidationError IterableValidationError
    """
    )
)
FOREIGN_INPUT = re.compile(
    r"\b(?:model_validate\w*|parse_obj\w*|parse_raw\w*|parse_file|validate_(?:python|json|strings)"
    r"|TypeAdapter)\b"
    r"|\b(?:parse|parseAsync|validate\w*|decode)\(\s*(?:await )?(?:req|request|ctx|c\.req|event|body"
    r"|formData)\b"
)
_EITHER_INPUT = frozenset({"ZodError", "$ZodError", "ValiError"})  # names of JavaScript have no module
_SUSPICIOUS = frozenset(
    words(
        """
    SuspiciousOperation DisallowedHost DisallowedRedirect SuspiciousFileOperation
    SuspiciousMultipartForm SuspiciousSession TooManyFieldsSent TooManyFilesSent RequestDataTooBig
    InvalidSessionKey BadRequest MultiPartParserError
    """
    )
)
PROGRAMMING = frozenset(
    words(
        """
    TypeError AttributeError KeyError IndexError NameError UnboundLocalError ZeroDivisionError
    AssertionError RecursionError LookupError NotImplementedError UnicodeDecodeError
    UnicodeEncodeError OverflowError StopIteration ValueError ArithmeticError SyntaxError
    IndentationError UnicodeError RuntimeError
    """
    )
)
MALFORMED = frozenset(
    words(
        """
    JSONDecodeError TOMLDecodeError BadZipFile BadGzipFile ExpatError ScannerError ParserError
    XMLSyntaxError ReaderError UnpicklingError
    """
    )
)
CONFIGURATION = frozenset(
    words(
        """
    ImproperlyConfigured ModuleNotFoundError SettingsError NoSettings
    """
    )
)
_INFRA_ERRNO = frozenset({5, 11, 12, 16, 23, 24, 28, 30, 98, 99, 100, 101, 103, 104, 110, 111, 112, 113, 122})
_INFRA_TYPES = frozenset(
    words(
        """
    MemoryError ConnectionRefusedError ConnectionResetError ConnectionAbortedError TimeoutError
    timeout gaierror herror ConnectTimeout ReadTimeout WriteTimeout PoolTimeout ConnectError
    ReadError WriteError NetworkError ConnectionError NewConnectionError MaxRetryError
    NameResolutionError ProtocolError RemoteProtocolError RemoteDisconnected URLError
    EndpointConnectionError ConnectTimeoutError ReadTimeoutError OperationalError InterfaceError
    DisconnectionError ServerSelectionTimeoutError AutoReconnect BusyLoadingError ClusterDownError
    ServerDisconnectedError ClientConnectorError ClientConnectorDNSError ConnectionTimeout
    AMQPConnectionError SSLError SSLEOFError NoBrokersAvailable KafkaTimeoutError IncompleteRead
    ChannelClosed LockNotOwnedError WorkerLostError BrokenProcessPool SMTPServerDisconnected
    AdminShutdown CrashShutdown CannotConnectNow SSLCertVerificationError ClientOSError ServerTimeoutError
    ClientConnectionError SMTPConnectError CannotConnectNowError TooManyConnectionsError ServiceUnavailable
    DeadlineExceeded
    """
    )
)
_OWN_TROUBLE = re.compile(  # a database says it, and the statements or their order are ours
    r"deadlock|could not serialize|no such (?:table|column|function)|syntax error|does not exist"
    r"|unknown column|has no column",
    re.I,
)
UPSTREAM_ANSWERS = {
    ("requests.exceptions", "HTTPError"),
    ("httpx", "HTTPStatusError"),
    ("urllib.error", "HTTPError"),
    ("aiohttp.client_exceptions", "ClientResponseError"),
}
_OUTBOUND = re.compile(
    r"^(?:requests|urllib3|httpx|http\.client|urllib\.request|redis|pymysql|MySQLdb|psycopg2?|asyncpg"
    r"|smtplib|ftplib"
    r"|kombu|amqp|pika|boto|botocore|grpc|pymongo|elasticsearch|paramiko|subprocess|multiprocessing"
    r"|concurrent|ssl|kafka"
    r"|aiohttp\.(?:client|connector))(?:\.|$)"
)
_SCANNER_PATH = re.compile(
    r"(?i)/(?:wp-(?:login|admin|content|includes|json|config)|xmlrpc\.php|\.env\b|\.git(?:/|$)|\.aws/"
    r"|\.ssh/|\.svn/"
    r"|\.DS_Store|phpmyadmin|pma/|myadmin|adminer|cgi-bin/|vendor/phpunit|boaform|HNAP1|solr/admin"
    r"|actuator(?:/|$)"
    r"|owa/|autodiscover|ecp/|manager/html|server-status|config\.(?:json|php|yml)\b|telescope/requests"
    r"|_ignition/"
    r"|containers/json|druid/|struts|\.well-known/security\.txt|[\w-]+\.(?:php\d?|aspx?|jsp|cgi)(?:$|\?))"
    r"|\.\./\.\./|etc/passwd"
)
_SCANNER_AGENT = re.compile(
    r"(?i)zgrab|nikto|sqlmap|masscan|nmap|nuclei|wpscan|dirbuster|gobuster|feroxbuster|acunetix|nessus"
    r"|censys|shodan"
    r"|netsystemsresearch|expanse|l9explore|l9tcpid|paloalto|internet-measurement|leakix|jorgee|zmeu"
    r"|morfeus|openvas|qualys"
)
_HEALTH_PATH = re.compile(
    r"(?i)^/(?:-/)?(?:_?health(?:z|[_-]?check)?|livez?|liveness|readyz?|readiness|ping|heartbeat|alive)/?$"
)
_HEALTH_AGENT = re.compile(
    r"(?i)kube-probe|ELB-HealthChecker|GoogleHC|Consul Health|UptimeRobot|Pingdom|StatusCake|Amazon-Route53"
)


def http_status(raised: ExceptionValue, *, in_request: bool) -> int | None:
    """The status that a server framework's HTTP exception stands for; None for every other exception."""
    if not (raised.module or "").startswith(HTTP_MODULES):
        return foreign.http_status(raised, in_request=in_request)
    name = raised.type.lower()
    innermost = raised.frames[-1] if raised.frames else None
    if match := _STATUS_IN_VALUE.match(raised.value):
        return int(match["status"])
    if (known := status_named(name)) is not None:
        return known
    if raised.type in _SUSPICIOUS:
        return 413 if raised.type == "RequestDataTooBig" else 400
    if not name.startswith(("http", "aborter", "apiexception")):
        return None
    for frame in raised.frames[-2:][::-1]:
        if match := _STATUS_IN_SOURCE.search(frame.context_line or ""):
            return int(match["status"] or match["named"])
    local = str(innermost.vars.get("status_code", "")) if innermost else ""
    return int(local) if re.fullmatch(r"[1-5]\d\d", local) else PHRASES.get(raised.value.strip().lower())


def is_validation(raised: ExceptionValue) -> bool:
    """An exception by which a validation library, or a framework's guard, turns input down."""
    module = raised.module or ""
    if module.startswith("django.core.exceptions") and raised.type in _SUSPICIOUS:
        return True
    if raised.type in _EITHER_INPUT and not module:
        return True
    return raised.type in VALIDATION_TYPES and _within(module, VALIDATION_MODULES)


def may_be_own_input(raised: ExceptionValue) -> bool:
    """Whether a library judges what own code builds as it judges what comes from outside."""
    return (raised.module or "").startswith("pydantic") or raised.type in _EITHER_INPUT


def is_interrupt(raised: ExceptionValue) -> bool:
    """Stopped on purpose, by the language's own exception for it (others have a CancelledError, too)."""
    if raised.type == "EOFError" and raised.value == _NO_TERMINAL:
        return True
    return raised.type in _INTERRUPTS and (not raised.module or _within(raised.module, _INTERRUPTED_BY))


def is_cli_usage(raised: ExceptionValue) -> bool:
    """A command line that was used wrongly, as the command-line library says."""
    return raised.type in CLI_TYPES and _within(raised.module or "", CLI_MODULES)


def is_infrastructure(raised: ExceptionValue, errno: int | None) -> bool:
    """Disk, memory, network, name resolution, a database or broker that does not answer."""
    if raised.type in ("OperationalError", "InterfaceError") and _OWN_TROUBLE.search(raised.value):
        return False
    if raised.type in ("SSLError", "ReadError", "ProtocolError", "ConnectionError") and not (
        raised.module or raised.type == "ConnectionError"
    ):
        return False
    if raised.type in _INFRA_TYPES or (raised.type not in PROGRAMMING and foreign.is_infrastructure(raised)):
        return True
    return errno in _INFRA_ERRNO and raised.type in (
        "OSError",
        "BlockingIOError",
        "IOError",
        "PermissionError",
        "error",
    )


def errno_of(raised: ExceptionValue) -> int | None:
    """The number in `[Errno 28] …`."""
    match = re.match(r"^(?:<urlopen error )?\[Errno (-?\d{1,5})\]", raised.value)
    return int(match[1]) if match else None


def talks_outwards(raised: ExceptionValue) -> bool:
    """Whether a client of some other service, or a child process, is on the stack."""
    return any(_OUTBOUND.match(frame.module or "") for frame in raised.frames)


def is_scanner(path: str, agent: str) -> bool:
    """A request for something that only scanners ask for, or by a tool that only scans."""
    return _SCANNER_PATH.search(path) is not None or _SCANNER_AGENT.search(agent) is not None


def is_health_check(path: str, agent: str) -> bool:
    """A probe of a load balancer, an orchestrator or a monitor."""
    return _HEALTH_PATH.match(path) is not None or _HEALTH_AGENT.search(agent) is not None


def _within(module: str, roots: tuple[str, ...]) -> bool:
    return any(module == root or module.startswith(root + ".") for root in roots)
