"""A value → the capsule of an error → redaction here and there → the artifact → the value that a test has again."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import importlib.util
import io
import ipaddress
import json
import math
import pathlib
import re
import sys
import tempfile
import types
import uuid
import zoneinfo
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from nightdesk_capture.capsule import build
from nightdesk_capture.rules.capsule_walk import CapsuleRedactor
from nightdesk_capture.settings import Settings

from fixloop.reproduce.capsules import enriched
from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.objects import Filler
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.scene import Scene
from fixloop.reproduce.ways import Wanted
from fixloop.reproduce.write import call_source
from server.incidents.capsules import with_content
from server.intake.redaction import Redaction
from store.artifacts import Artifacts
from store.event import Event, ExceptionValue, Frame
from triage.formats.capsule import capsule_of

SHOP = Path(__file__).resolve().parents[1] / "corpus" / "capsules" / "capsule_shop.py"


def _load() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("capsule_shop", SHOP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["capsule_shop"] = module
    spec.loader.exec_module(module)
    return module


shop = _load()
CATALOGUE = Catalogue(lambda: {"capsule_shop": SHOP.read_text("utf-8")})


def fail(value: Any, other: Any) -> None:
    raise ValueError("as in production")


def round_trip(value: Any, other: Any = None) -> tuple[Any, tuple[str, ...]]:
    """The value of an argument as the test of its crash has it, and what was redacted on the way."""
    try:
        fail(value, other)
    except ValueError as error:
        trace = error.__traceback__
    payload = build(trace, {}, Settings(seconds=30), CapsuleRedactor(b"a process"))
    capsule = capsule_of(payload)
    assert capsule is not None
    line = fail.__code__.co_firstlineno + 1
    frame = Frame(function="fail", lineno=line, in_app=True)
    now = datetime.datetime.now(UTC)
    event = Event(event_id="0" * 32, project="p", received_at=now, timestamp=now, capsule=capsule,
                  exceptions=(ExceptionValue(type="ValueError", frames=(frame,)),))  # fmt: skip
    clean = Redaction(b"k" * 32).redact(event).capsule
    assert clean is not None
    with tempfile.TemporaryDirectory() as folder:
        body = json.dumps(clean.content).encode()
        artifacts = Artifacts(Path(folder))
        kept = clean.model_copy(update={"artifact": artifacts.put(body), "content": None})
        seen = enriched(with_content(event.model_copy(update={"capsule": kept}), artifacts))
    error = seen.exception
    assert error is not None
    filler = Filler(Scene(error.frames, 0, CATALOGUE.class_of), CATALOGUE, "capsule_shop")
    first = filler.ways(error.frames[0].vars["value"], Wanted("value"))[0]
    second = filler.ways(error.frames[0].vars["other"], Wanted("other"))[0]
    assert (first.notes, first.cost) == ((), 0)
    objects = {made["name"]: made for made in (*first.objects, *second.objects)}
    inputs = {
        "args": [{"$tuple": [first.value, second.value]}],
        "kwargs": {},
        "objects": list(objects.values()),
    }
    target = {"module": "capsule_shop", "qualname": "given", "receiver": None, "wrap": None}
    namespace: dict[str, Any] = {}
    source = call_source(Recipe(entry="frame", repo="r", target=target, inputs=inputs))
    exec(compile(source, "test", "exec"), namespace)  # noqa: S102 - our own text
    back = namespace["call"]()
    return (back if other is not None else back[0]), clean.redacted


def alike(left: Any, right: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        pairs = zip(left.items(), right.items(), strict=True)
        return len(left) == len(right) and all(alike(a, b) and alike(c, d) for (a, c), (b, d) in pairs)
    if isinstance(left, list | tuple | collections.deque):
        return len(left) == len(right) and all(map(alike, left, right))
    return bool(left == right)


NUMBERS = st.one_of(
    st.integers(-(10**12), 10**12), st.floats(allow_nan=False), st.decimals(allow_nan=False, allow_infinity=False),
    st.fractions(), st.complex_numbers(allow_nan=False, allow_infinity=False),
)  # fmt: skip
MOMENTS = st.one_of(
    st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.dates(), st.times(), st.timedeltas(),
    st.datetimes(timezones=st.sampled_from([zoneinfo.ZoneInfo("Europe/Vienna"), datetime.timezone(datetime.timedelta(hours=-3))])),
)  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
HASHABLE = st.one_of(
    st.none(), st.booleans(), NUMBERS.filter(lambda n: n == n), TEXTS, st.binary(max_size=30), st.uuids(), MOMENTS,
    st.sampled_from(shop.Color), st.ip_addresses(v=4), st.builds(shop.Price, TEXTS), st.builds(range, st.integers(0, 9)),
)  # fmt: skip


def _inside(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(values, max_size=4), st.lists(values, max_size=4).map(tuple), st.dictionaries(HASHABLE, values, max_size=3),
        st.dictionaries(st.text("abc$", min_size=1), values, max_size=3), st.sets(HASHABLE, max_size=3),
        st.frozensets(HASHABLE, max_size=3), st.lists(values, max_size=3).map(collections.deque),
        st.dictionaries(TEXTS, values, max_size=3).map(collections.OrderedDict),
        st.dictionaries(TEXTS, values, max_size=3).map(lambda d: collections.defaultdict(list, d)),
        st.builds(shop.Line, values, values), st.builds(shop.Slotted, values, values), st.builds(shop.Plain, needs=values),
        st.lists(values, max_size=3).map(shop.Basket), st.dictionaries(TEXTS, values, max_size=3).map(shop.Headers),
        st.builds(shop.Point, values, values), st.builds(shop.Reading, values, values),
        st.builds(shop.Order, number=st.integers(0, 99), lines=st.lists(values, max_size=2)),
        st.dictionaries(st.text("abc", min_size=1, max_size=3), values, max_size=3).map(lambda d: types.SimpleNamespace(**d)),
    )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.recursive(HASHABLE, _inside, max_leaves=12))
def test_what_an_argument_was_is_what_the_test_of_its_crash_gets(value: Any) -> None:
    back, redacted = round_trip(value)
    assume(not redacted)
    assert alike(back, value)


EXAMPLES: list[Any] = [
    bytearray(b"abc"), re.compile("a+", re.IGNORECASE), slice(1, None, 2), Ellipsis, shop.Rights.READ | shop.Rights.WRITE,
    pathlib.PosixPath("a/b"), ipaddress.IPv6Address("::1"), ipaddress.IPv4Network("10.0.0.0/8"), shop.Color, len, shop.given,
    collections.Counter("abca"), shop.Name("n"), numpy.float64(1.5), numpy.int32(7), -math.inf, 10**40, b"\xff\x00",
    uuid.UUID(int=5), decimal.Decimal("1E+5"), fractions.Fraction(2, 6), enum.Enum, shop.Price((1, 2)),
    collections.deque([1, 2], maxlen=2), datetime.datetime(2026, 10, 25, 2, 30, fold=1), {1: {2: {3: ()}}},
]  # fmt: skip


@pytest.mark.parametrize(
    "value", [one for one in EXAMPLES if one is not enum.Enum], ids=lambda one: type(one).__name__
)
def test_each_sort_of_value_comes_back_as_itself(value: Any) -> None:
    assert alike(round_trip(value)[0], value)


def test_what_equality_does_not_tell_comes_back_too() -> None:
    assert math.isnan(round_trip(math.nan)[0])
    assert round_trip(io.StringIO("a line"))[0].getvalue() == "a line"
    assert list(round_trip(iter([1, 2, 3]))[0]) == [1, 2, 3]
    array = numpy.arange(12, dtype="<i4").reshape(3, 4)
    back = round_trip(array)[0]
    assert back.dtype == array.dtype
    assert back.tolist() == array.tolist()
    refused = round_trip(shop.Refused("no", 7))[0]
    assert (type(refused), refused.args, refused.code) == (shop.Refused, ("no", 7), 7)
    lost = round_trip(KeyError("sku"))[0]
    assert (type(lost), lost.args) == (KeyError, ("sku",))


def test_a_constructor_is_not_run_again_and_no_property_is_asked() -> None:
    guarded = shop.Guarded()
    guarded.value = 11
    assert vars(round_trip(guarded)[0]) == {"value": 11}


def test_two_names_of_one_object_are_one_object_again() -> None:
    line = shop.Line("a")
    first, second = round_trip([line, line], line)[0]
    assert first[0] is first[1]
    assert first[0] is second
    assert second == line


def _trees() -> Iterator[Any]:
    root = shop.Node("root").add(shop.Node("left")).add(shop.Node("right").add(shop.Node("leaf")))
    yield root
    yield root.children[1]


@pytest.mark.parametrize("tree", list(_trees()), ids=["from its root", "from inside"])
def test_a_tree_that_knows_its_parents_is_that_tree_again(tree: Any) -> None:
    root = round_trip(tree)[0]
    while root.parent is not None:
        root = root.parent
    assert [child.name for child in root.children] == ["left", "right"]
    assert all(child.parent is root for child in root.children)
    assert root.children[1].children[0].parent is root.children[1]


def test_an_object_and_what_it_is_a_part_of_find_each_other_again() -> None:
    child, root = round_trip(*(tree := list(_trees()))[::-1])[0]
    assert tree[1].parent is tree[0]
    assert child.parent is root
    assert root.children[1] is child


def test_lists_and_mappings_that_hold_themselves_do_so_again() -> None:
    circle: list[Any] = [1]
    circle.append(circle)
    back = round_trip(circle)[0]
    assert back[0] == 1
    assert back[1] is back
    mapping: dict[str, Any] = {"a": 1}
    mapping["me"] = mapping
    again = round_trip(mapping)[0]
    assert again["me"] is again


def test_a_method_that_was_handed_on_is_that_objects_method_again() -> None:
    root = shop.Node("root")
    assert round_trip(root.add)[0].__self__.name == "root"
    assert list(round_trip({"a": 1}.items)[0]()) == [("a", 1)]
    root.handlers = {"add": root.add}
    back = round_trip(root)[0]
    assert back.handlers["add"].__self__ is back


def test_an_object_of_a_class_that_nobody_has_is_one_of_its_base_and_says_so() -> None:
    class Special(shop.Plain):
        pass

    with pytest.raises(AssertionError, match="a Plain, its own class"):
        round_trip(Special(needs=3))


def test_what_is_kept_under_a_propertys_name_does_not_ask_the_property() -> None:
    cached = shop.Cached()
    assert cached.total == 7
    assert vars(round_trip(cached)[0]) == {"total": 7}
