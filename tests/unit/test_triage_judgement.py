"""From an event to a lane: grouping, the place in the code, the rules, the record of each step."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.event import Request
from store.incident import Kind, Lane
from tests.unit.triage_samples import NOW, Files, corpus_json, event, frame, raised
from triage.analyse import History
from triage.classify import Rules
from triage.fingerprint import collapsed, fingerprint, template
from triage.formats.sentry_event import event_of
from triage.locate import locate
from triage.pipeline import triage
from triage.title import culprit, title

NO_FILES = Files({})


def _judge(found, sources=NO_FILES, history=None):
    return triage(found, history or History(), sources, Rules(), lambda: NOW)


# --- grouping ---


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=2), st.text(max_size=30))
def test_line_numbers_source_lines_and_texts_are_no_key_where_there_is_a_stack(lines, text):
    one, two = (
        event(raised("KeyError", value, frame("/app/a.py", line, "f", source, module="a")))
        for line, value, source in zip(lines, ("'x'", text), ("x = d['x']", text), strict=True)
    )
    assert fingerprint(one) == fingerprint(two)


def test_another_type_or_another_way_through_the_code_is_another_group():
    base = event(raised("KeyError", "'x'", frame("/app/a.py", 1, "f")))
    other_type = event(raised("TypeError", "'x'", frame("/app/a.py", 1, "f")))
    other_way = event(raised("KeyError", "'x'", frame("/app/a.py", 1, "g")))
    assert len({fingerprint(one).key for one in (base, other_type, other_way)}) == 3


def test_frames_of_libraries_are_no_key_where_own_code_is_on_the_stack():
    library = frame("/usr/lib/python3/dist-packages/x.py", 1, "call", in_app=False)
    own = frame("/app/a.py", 1, "f")
    assert fingerprint(event(raised("E", "", library, own))) == fingerprint(event(raised("E", "", own)))


@given(st.integers(2, 60))
def test_the_depth_of_a_recursion_is_no_key(depth):
    walk = [frame("/app/a.py", 3, "walk"), frame("/app/a.py", 5, "visit")]
    deep = event(raised("RecursionError", "", frame("/app/a.py", 1, "main"), *(walk * depth)))
    shallow = event(raised("RecursionError", "", frame("/app/a.py", 1, "main"), *walk))
    assert fingerprint(deep) == fingerprint(shallow)
    assert collapsed(["a", "b", "b", "c", "b", "c"]) == ["a", "b", "c"]


def test_messages_that_differ_in_numbers_and_ids_are_one_group():
    one = event(message="order 48213 of ann@example.com failed after 3012 ms (0x7f3a9c)")
    two = event(message="order 7 of bob@example.com failed after 12 ms (0x1b)")
    other = event(message="order 7 of bob@example.com was cancelled after 12 ms (0x1b)")
    assert fingerprint(one) == fingerprint(two)
    assert fingerprint(one) != fingerprint(other)
    assert template("user 'ann' at /srv/app/x.py") == "user <quoted> at <path>"


def test_a_clients_fingerprint_wins_and_default_expands():
    plain = event(raised("E", "", frame("/app/a.py", 1, "f")))
    own = plain.model_copy(update={"client_fingerprint": ("checkout",)})
    both = plain.model_copy(update={"client_fingerprint": ("{{ default }}", "eu")})
    assert fingerprint(own).parts == ("client: checkout",)
    assert fingerprint(both).parts == (*fingerprint(plain).parts, "client: eu")


# --- the place in the code ---

CACHE = "def cached(f):\n    def wrapped(key):\n        return tuple(f(key))\n    return wrapped\n"
QUOTE = (
    "from pricing import discounts_for\n\n\n"
    "def discounts(customer):\n    return discounts_for(customer) + []\n"
)
PROJECT = Files(
    {
        "quotes": {"quotes/quote.py": QUOTE, "tests/quote.py": "", "wsgi.py": "from quotes import app\n"},
        "pricing": {"src/pricing/cache.py": CACHE, "tests/cache.py": "x = 1\n"},
    }
)


def test_an_own_library_in_site_packages_is_located_and_counts_as_own_code():
    path = "/usr/local/lib/python3.11/site-packages/pricing/cache.py"
    found = locate(
        event(raised("E", "", frame(path, 3, "wrapped", "return tuple(f(key))", in_app=False))), PROJECT
    )
    assert found.best is not None
    assert (found.best.repo, found.best.path, found.best.line) == ("pricing", "src/pricing/cache.py", 3)
    assert found.best.confidence > 0.9
    assert found.own == (True,)


def test_somebody_elses_package_with_a_file_of_the_same_name_is_not_ours():
    path = "/usr/local/lib/python3.11/site-packages/flask/cache.py"
    found = locate(
        event(raised("E", "", frame(path, 3, "wrapped", "return tuple(f(key))", in_app=False))), PROJECT
    )
    assert (found.best, found.own) == (None, (False,))


def test_a_namesake_in_site_packages_with_other_text_is_not_ours():
    path = "/usr/local/lib/python3.11/site-packages/pricing/cache.py"
    found = locate(event(raised("E", "", frame(path, 3, "other", "raise Nothing()", in_app=False))), PROJECT)
    assert found.best is None


def test_a_line_that_moved_since_is_found_nearby():
    found = locate(
        event(
            raised(
                "E", "", frame("/app/quotes/quote.py", 2, "discounts", "return discounts_for(customer) + []")
            )
        ),
        PROJECT,
    )
    assert found.best is not None
    assert (found.best.line, found.best.method) == (5, "path, line text moved from 2")


def test_without_a_source_line_the_function_decides():
    found = locate(event(raised("E", "", frame("/app/quotes/quote.py", 5, "discounts"))), PROJECT)
    assert found.best is not None
    assert found.best.method == "path, function"


def test_the_standard_library_and_frozen_modules_are_nowhere():
    sources = Files({"r": {"json/decoder.py": "x\n", "codecs.py": "y\n"}})
    frames = (
        frame("/usr/local/lib/python3.11/json/decoder.py", 1, "f", "x"),
        frame("/app/<frozen codecs>", 1, "f"),
    )
    assert locate(event(raised("E", "", *frames)), sources).frames == (None, None)


def test_a_file_of_the_same_name_alone_is_no_place():
    found = locate(event(raised("E", "", frame("/srv/prod/cache.py", 9, "main"))), PROJECT)
    assert found.best is None


def test_a_configured_path_map_comes_first():
    files = {"one": {"svc/app.py": "x = 1\n"}, "two": {"svc/app.py": "x = 1\n"}}
    sources = Files(files, {"two": {"/srv/current": "svc"}})
    found = locate(event(raised("E", "", frame("/srv/current/app.py", 1, "<module>", "x = 1"))), sources)
    assert found.best is not None
    assert (found.best.repo, found.best.method) == ("two", "path map, line text")
    assert found.alternatives == ()


def test_two_places_that_are_equally_likely_are_both_given():
    text = "def run():\n    return start_everything()\n"
    sources = Files({"one": {"svc/app.py": text}, "two": {"svc/app.py": text}})
    found = locate(
        event(raised("E", "", frame("/srv/svc/app.py", 2, "run", "return start_everything()"))), sources
    )
    assert found.best is not None
    assert [place.repo for place in found.alternatives] == ["two"]
    assert found.best.confidence < 0.7


def test_the_folder_of_a_frame_without_doubt_settles_the_others():
    text = "def run():\n    return start_everything()\n"
    sources = Files(
        {"one": {"svc/app.py": text}, "two": {"svc/app.py": text, "svc/only.py": "def go():\n    run()\n"}}
    )
    frames = (
        frame("/srv/svc/only.py", 2, "go", "run()"),
        frame("/srv/svc/app.py", 2, "run", "return start_everything()"),
    )
    found = locate(event(raised("E", "", *frames)), sources)
    assert found.best is not None
    assert found.best.repo == "two"


# --- rules ---

WEB = Request(method="GET", url="http://shop.example/cart", headers={"User-Agent": "Mozilla/5.0"})


def _own(source="x = d[k]", **more):
    return frame("/app/shop/cart.py", 7, "total", source, module="shop.cart", **more)


def _lib(module, source="raise Error()"):
    path = f"/usr/lib/python3/site-packages/{module.replace('.', '/')}.py"
    return frame(path, 1, "f", source, in_app=False, module=module)


def _http(kind, value, module="werkzeug.exceptions", path="/cart", agent="Mozilla/5.0", *, handled=True):
    request = Request(method="GET", url=f"http://shop.example{path}", headers={"User-Agent": agent})
    return event(raised(kind, value, _lib(module), module=module, handled=handled), request=request)


NOISE = {
    "client_disconnect": event(
        raised("ClientDisconnect", "", _own("await request.body()"), module="starlette.requests")
    ),
    "interrupt": event(raised("KeyboardInterrupt", "", _own("time.sleep(1)"))),
    "broken_pipe": event(raised("BrokenPipeError", "[Errno 32] Broken pipe", _own("print(row)"))),
    "scanner": _http("NotFound", "404 Not Found: nothing", path="/wp-login.php", agent="zgrab/0.x"),
    "health_check": _http("NotFound", "404 Not Found: nothing", path="/healthz", agent="kube-probe/1.30"),
    "cli_usage": event(
        raised("BadParameter", "9 is not in the range", _lib("click.types"), module="click.exceptions")
    ),
    "rejected_request": _http("HTTPException", "Not Found", module="starlette.exceptions"),
    "rejected_input": event(
        raised("ValidationError", "{}", _lib("marshmallow.schema"), module="marshmallow.exceptions")
    ),
}
SIGNAL = {
    "a KeyError in own code": (
        event(raised("KeyError", "'x'", _own(), handled=False), request=WEB),
        Lane.FOCUS,
    ),
    "the same while a scanner asks": (
        event(
            raised("TypeError", "x", _own(), handled=False),
            request=Request(url="http://x/wp-login.php", headers={"user-agent": "zgrab"}),
        ),
        Lane.FOCUS,
    ),
    "caught by a catch-all": (event(raised("KeyError", "'x'", _own(), handled=True)), Lane.FOCUS),
    "raised on purpose and caught": (
        event(raised("ValueError", "x", _own("raise ValueError(x)"), handled=True)),
        Lane.BACKLOG,
    ),
    "a bug while a bad request is handled": (
        event(
            raised("BadRequest", "400 Bad Request", module="werkzeug.exceptions"),
            raised("AttributeError", "x", _own(), handled=False),
        ),
        Lane.FOCUS,
    ),
    "a 500 on purpose": (
        _http("HTTPException", "Internal Server Error", "starlette.exceptions", handled=False),
        Lane.FOCUS,
    ),
    "an own class called NotFound": (
        event(raised("NotFound", "404", _own(), module="shop.errors")),
        Lane.FOCUS,
    ),
    "JSON that is none, in a request": (
        event(
            raised("JSONDecodeError", "Expecting value", _own("json.loads(body)"), handled=False), request=WEB
        ),
        Lane.FOCUS,
    ),
    "a model that own code filled wrongly": (
        event(
            raised("ValidationError", "1 validation error", _own("Cart(total=None)"), module="pydantic_core")
        ),
        Lane.FOCUS,
    ),
    "a rename of an own file": (
        event(
            raised("FileNotFoundError", "[Errno 2] No such file: '/t/a' -> '/t/b'", _own("os.replace(a, b)"))
        ),
        Lane.FOCUS,
    ),
    "a full disk": (
        event(raised("OSError", "[Errno 28] No space left on device", _own("f.write(x)"))),
        Lane.BACKLOG,
    ),
    "a database that is away": (
        event(raised("OperationalError", "connection refused", _lib("psycopg"), module="psycopg")),
        Lane.BACKLOG,
    ),
    "a column that is missing": (
        event(raised("OperationalError", "no such column: x", _lib("sqlite3"), _own(), module="sqlite3")),
        Lane.FOCUS,
    ),
    "a connection that was wrapped on purpose": (
        event(
            raised("ConnectionRefusedError", "[Errno 111] Connection refused", _lib("socket")),
            raised("MailError", "could not send", _own("raise MailError(to) from e"), handled=False),
        ),
        Lane.BACKLOG,
    ),
    "a pipe to another service": (
        event(
            raised(
                "BrokenPipeError", "[Errno 32] Broken pipe", _own("redis.get(k)"), _lib("redis.connection")
            )
        ),
        Lane.FOCUS,
    ),
    "a worker that was killed for being slow": (
        event(raised("SystemExit", "1", _own(), frame("/x/gunicorn.py", 1, "handle_abort"))),
        Lane.FOCUS,
    ),
    "a file that the command line names": (
        event(
            raised(
                "FileNotFoundError", "[Errno 2] No such file or directory: '/in/a.csv'", _own("open(path)")
            ),
            extra={"sys.argv": ["run.py", "/in/a.csv"]},
        ),
        Lane.BACKLOG,
    ),
    "a logged error": (event(message="no handler for archive"), Lane.BACKLOG),
}


@pytest.mark.parametrize("rule", NOISE)
def test_what_is_certainly_no_bug_is_set_aside_by_the_rule_that_says_so(rule):
    done = _judge(NOISE[rule])
    assert done.lane is Lane.NOISE
    assert done.verdict.reasons[0].startswith(f"{rule}: ")
    assert done.verdict.score < done.verdict.threshold
    assert done.why == done.verdict.reasons[0].split(": ", 1)[1]


@pytest.mark.parametrize("name", SIGNAL)
def test_what_could_be_a_bug_is_never_set_aside(name):
    found, lane = SIGNAL[name]
    done = _judge(found)
    assert (done.lane, done.verdict.signal) == (lane, True)


def test_infrastructure_is_named_as_such():
    assert _judge(SIGNAL["a full disk"][0]).verdict.kind is Kind.INFRASTRUCTURE


def test_what_has_come_back_or_touches_many_is_more_urgent():
    found, _ = SIGNAL["a KeyError in own code"]
    quiet, many, back = (
        _judge(found, history=history).priority
        for history in (
            History(is_new=False),
            History(is_new=False, event_count=500, user_count=40),
            History(is_new=False, regressed=True),
        )
    )
    assert quiet < many
    assert quiet < back


@pytest.mark.parametrize(
    ("name", "lane"),
    [
        ("flask-type-error", Lane.FOCUS),
        ("worker-key-error", Lane.FOCUS),
        ("worker-connection-refused", Lane.BACKLOG),
        ("django-disallowed-host", Lane.NOISE),
        ("flask-unprocessable", Lane.NOISE),
    ],
)
def test_real_events_go_where_a_person_would_put_them(name, lane):
    found = event_of(corpus_json(f"events/{name}.json"), project="shop", received_at=NOW)
    assert _judge(found).lane is lane


# --- the record ---


def test_each_step_is_recorded_and_a_replay_is_identical():
    def ticking():
        at = NOW
        while True:
            yield at
            at += timedelta(milliseconds=2)

    found = event_of(corpus_json("events/flask-type-error.json"), project="shop", received_at=NOW)
    records = []
    for _ in range(2):
        ticks = ticking()
        records.append(triage(found, History(), PROJECT, Rules(), lambda ticks=ticks: next(ticks)))
    assert records[0].model_dump_json() == records[1].model_dump_json()
    assert [step.name for step in records[0].steps] == [
        "locate",
        "analyse",
        "surroundings",
        "classify",
        "prioritise",
    ]
    assert {step.took for step in records[0].steps} == {0.002}
    assert records[0].title == 'TypeError: can only concatenate tuple (not "list") to tuple'
    assert records[0].culprit == "quotes.quote in discounts"


def test_an_event_with_nothing_in_it_is_triaged():
    done = _judge(event())
    assert (done.lane, done.title, done.location) == (Lane.BACKLOG, "(no message)", None)


def test_a_title_is_one_bounded_printable_line():
    found = event(raised("E", "a\x1b[31m" + "x" * 500 + "\nsecond line"))
    assert len(title(found)) == 140
    assert title(found).isprintable()
    assert culprit(event(message="x", logger="shop.jobs")) == "shop.jobs"


# --- messages that are one group ---


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("block blk_-1608999687919862906 lost", "block blk_38865049064139660 lost"),
        ("user_7 has no cart", "user_70021 has no cart"),
        ("no route to db1.shop.internal:5432", "no route to cache-2.shop.internal:6379"),
        ("link up on f8:4f:57:9b:ea:b2", "link up on 00:a6:ca:db:93:cc"),
        ("peer fe80::c6b3:1ff:fecd:467f went away", "peer 2607:f140:6000:8:c6b3:1ff:fecd:467f went away"),
    ],
)
def test_ids_with_signs_short_ids_hosts_and_addresses_do_not_split_a_group(one, other):
    assert fingerprint(event(message=one)).key == fingerprint(event(message=other)).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cannot load org.shop.io.reader", "cannot load org.shop.io.writer"),
        ("at 10:20:30 the export stopped", "at 10:20:30 the import stopped"),
        ("std::terminate was called", "std::abort was called"),
    ],
)
def test_names_of_code_are_no_addresses_and_stay_key(one, other):
    assert fingerprint(event(message=one)).key != fingerprint(event(message=other)).key


def test_what_an_earlier_version_would_have_made_is_told_only_where_it_differs():
    assert fingerprint(event(message="block blk_-16 lost")).earlier
    assert fingerprint(event(message="7 orders lost")).earlier == ()
    assert "earlier" not in fingerprint(event(message="block blk_-16 lost")).model_dump()
