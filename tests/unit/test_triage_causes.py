"""The cause class with decoys, other languages' families, scripts of others, and what spreads."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store.event import Breadcrumb
from store.incident import Kind, Lane
from tests.unit.triage_samples import NOW, Files, event, frame, raised
from triage.analyse import History
from triage.learned import Learned
from triage.pipeline import triage
from triage.sources import NOTHING


def judge(found, **history):
    return triage(found, History(**history), NOTHING, Learned(), lambda: NOW)


OWN = frame("/app/shop/cart.py", 7, "total", "x = d[k]", module="shop.cart")
SERVER = frame("node:_http_server", 5, "abort", in_app=False, module="node:_http_server")


def test_loud_infrastructure_beside_an_application_cause_does_not_win():
    refused = raised(
        "ConnectionRefusedError",
        "[Errno 111] Connection refused",
        frame("/l/socket.py", 1, "connect", in_app=False),
    )
    bug = raised("KeyError", "'carrier'", OWN, handled=False)
    noisy = Breadcrumb(level="error", message="connect ECONNREFUSED 10.0.0.9:5432")
    done = judge(event(refused, bug, breadcrumbs=(noisy,), tags={"last_error": "no space left on device"}))
    assert (done.verdict.kind, done.lane) == (Kind.APP_BUG, Lane.FOCUS)


def test_a_programming_mistake_whose_text_quotes_the_network_is_still_one():
    done = judge(
        event(raised("TypeError", "expected str, got Error: connect ECONNREFUSED", OWN, handled=False))
    )
    assert done.verdict.kind is Kind.APP_BUG


INFRASTRUCTURE = {
    "java": raised("SocketTimeoutException", "Read timed out", module="java.net"),
    "node": raised("Error", "connect ECONNREFUSED 127.0.0.1:5432"),
    "go": raised("*net.OpError", "dial tcp 10.0.0.3:6379: connect: connection refused"),
    "ruby": raised("PG::ConnectionBad", "could not connect to server"),
    "php": raised("PDOException", "SQLSTATE[HY000] [2002] Connection refused"),
    "csharp": raised("SocketException", "No connection could be made", module="System.Net.Sockets"),
    "rust": raised("panic", "Os { code: 28 }: No space left on device (os error 28)"),
}


@pytest.mark.parametrize("platform", INFRASTRUCTURE)
def test_infrastructure_of_any_language_waits_in_the_backlog_and_is_never_noise(platform):
    done = judge(event(INFRASTRUCTURE[platform], platform=platform))
    assert (done.verdict.kind, done.lane) == (Kind.INFRASTRUCTURE, Lane.BACKLOG)


@pytest.mark.parametrize("platform", INFRASTRUCTURE)
def test_infrastructure_that_spreads_comes_into_focus_and_says_so(platform):
    found = event(INFRASTRUCTURE[platform], platform=platform)
    many = judge(found, user_count=40, event_count=90, first_seen=NOW - timedelta(days=3))
    storm = judge(found, event_count=500, first_seen=NOW - timedelta(minutes=20))
    slow = judge(found, event_count=500, first_seen=NOW - timedelta(days=20))
    assert (many.lane, storm.lane, slow.lane) == (Lane.FOCUS, Lane.FOCUS, Lane.BACKLOG)
    assert "spreads" in storm.why


NOISE = {
    "ruby route": ("ruby", raised("ActionController::RoutingError", 'No route matches [GET] "/x"')),
    "php route": (
        "php",
        raised("NotFoundHttpException", "No route", module="Symfony\\Component\\HttpKernel\\Exception"),
    ),
    "spring method": (
        "java",
        raised(
            "HttpRequestMethodNotSupportedException", "GET is not supported", module="org.springframework.web"
        ),
    ),
    "tomcat client": (
        "java",
        raised("ClientAbortException", "Broken pipe", module="org.apache.catalina.connector"),
    ),
    "node client": ("node", raised("Error", "aborted", SERVER)),
    "extension": (
        "javascript",
        raised("TypeError", "x is null", frame("chrome-extension://abc/content.js", 1, "run")),
    ),
    "opaque": ("javascript", raised("Error", "Script error.")),
    "layout": ("javascript", raised("Error", "ResizeObserver loop limit exceeded")),
}


@pytest.mark.parametrize("name", NOISE)
def test_what_is_no_failure_of_the_team_in_other_languages_is_set_aside_with_its_reason(name):
    platform, found = NOISE[name]
    done = judge(event(found, platform=platform))
    assert done.lane is Lane.NOISE
    assert done.why


SIGNAL = {
    "own class of that name": ("php", raised("NotFoundHttpException", "x", OWN, module="Shop\\Errors", handled=False)),
    "a stream to a server of ours": (
        "python",
        raised("StreamClosedError", "Stream is closed", OWN, module="tornado.iostream", handled=False),
    ),
    "another library's cancellation": ("python", raised("CancelledError", "", OWN, module="futurist", handled=False)),
    "aborted outside of a server": ("node", raised("Error", "aborted", OWN, handled=False)),
    "an own script that an extension calls": (
        "javascript",
        raised(
            "TypeError", "x", frame("chrome-extension://abc/a.js", 1, "run"),
            frame("https://shop.example/app.js", 3, "total"), handled=False,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNAL)
def test_a_namesake_of_noise_is_not_set_aside(name):
    platform, found = SIGNAL[name]
    assert judge(event(found, platform=platform)).lane is Lane.FOCUS


def test_each_triage_says_what_there_is_to_act_on():
    said = {
        judge(found).steps[-1].said
        for found in (event(INFRASTRUCTURE["java"]), event(raised("KeyError", "'x'", OWN)))
    }
    assert any("time limits" in one for one in said)
    assert any("own code is on the stack" in one for one in said)


@pytest.mark.parametrize(
    ("module", "kind", "value"),
    [
        ("litestar.exceptions.http_exceptions", "NotFoundException", "404: Not Found"),
        ("litestar.exceptions.http_exceptions", "MethodNotAllowedException", "no"),
        ("sanic.exceptions", "InvalidUsage", "Failed when parsing body as json"),
        ("aiohttp.web_exceptions", "HTTPRequestEntityTooLarge", "Maximum request body size exceeded"),
        ("falcon.errors", "HTTPUnprocessableEntity", ""),
        ("slowapi.errors", "RateLimitExceeded", "5 per 1 minute"),
        ("connexion.exceptions", "BadRequestProblem", "missing parameter"),
        ("tornado.web", "HTTPError", "HTTP 404: Not Found"),
    ],
)
def test_a_web_frameworks_own_refusal_is_set_aside_whatever_the_framework(module, kind, value):
    done = judge(
        event(raised(kind, value, frame("/l/x.py", 1, "f", in_app=False), module=module, handled=True))
    )
    assert done.lane is Lane.NOISE


def test_a_server_error_of_a_web_framework_is_not_set_aside():
    found = raised("InternalServerException", "500", OWN, module="litestar.exceptions", handled=False)
    assert judge(event(found)).lane is Lane.FOCUS


def test_a_place_that_is_ambiguous_is_said_to_be_and_the_others_are_named():
    sources = Files({"shop": {"src/utils.py": "x = 1\n"}, "bank": {"src/utils.py": "y = 2\n"}})
    found = event(raised("E", "", frame("/build/src/utils.py", 1, "<module>"), handled=False))
    done = triage(found, History(), sources, Learned(), lambda: NOW)
    assert "Ambiguous: " in done.steps[0].said
    assert {done.location.repo, *(other.repo for other in done.alternatives)} == {"shop", "bank"}
    assert done.location.confidence <= 0.6
