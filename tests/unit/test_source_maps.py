"""Source maps against what esbuild wrote and Node printed, and against maps that are damaged on purpose."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import BadPayload
from store.event import Event
from tests.unit.triage_samples import CORPUS, NOW, frame, raised
from tests.unit.triage_samples import event as made
from triage import source_maps
from triage.languages.javascript import JavaScript
from triage.source_maps import SourceMap, read
from triage.unbundle import best_named, may_be_bundled, unbundled

BUNDLES = CORPUS / "bundles"


def crash() -> Event:
    """The event of the crash that Node printed."""
    (chain,) = JavaScript().find_traces((BUNDLES / "crash.txt").read_text())
    return Event(
        event_id="1", project="p", received_at=NOW, timestamp=NOW, platform="node", exceptions=tuple(chain)
    )


def of(name: str) -> SourceMap:
    return read((BUNDLES / "dist" / name).read_bytes())


def told(name: str) -> list[tuple[str | None, str | None, int | None]]:
    found = of(name)
    event = unbundled(crash(), lambda path: found if path.endswith("checkout.min.js") else None)
    raised = event.exception
    assert raised is not None
    return [(f.function, f.filename, f.lineno) for f in raised.frames if f.in_app and f.filename]


def test_a_crash_in_a_bundle_is_told_as_the_files_and_functions_it_was_built_from():
    assert told("checkout.min.js.map")[-2:] == [
        ("checkout", "src/checkout.ts", 5),
        ("Cart.total", "src/cart.ts", 8),
    ]


def test_without_the_texts_lines_are_found_and_names_that_the_map_does_not_know_stay():
    assert told("plain.min.js.map")[-2:] == [
        ("checkout", "src/checkout.ts", 5),
        ("n.total", "src/cart.ts", 8),
    ]


def test_the_line_and_what_is_around_it_come_from_the_text_in_the_map():
    found = of("checkout.min.js.map")
    event = unbundled(crash(), lambda path: found if path.endswith(".min.js") else None)
    assert event.exception is not None
    last = event.exception.frames[-1]
    assert last.context_line == "    return sum * (1 - discount!.rate);"
    assert last.pre_context[-1].strip().startswith("const sum")
    assert last.post_context[0] == "  }"


def test_what_the_bundle_said_is_kept_and_a_second_time_changes_nothing():
    found = of("checkout.min.js.map")
    once = unbundled(crash(), lambda _: found)
    assert "/srv/shop/dist/checkout.min.js:1:109 n.total" in once.contexts["source_maps"]["frames"]
    assert not may_be_bundled(once)
    assert may_be_bundled(crash())


def test_an_event_without_a_map_is_the_very_same():
    event = crash()
    assert unbundled(event, lambda _: None) is event


def test_frames_of_packages_inside_a_bundle_are_not_the_teams():
    lone = json.dumps(
        {"version": 3, "sources": ["../node_modules/left-pad/index.js"], "names": [], "mappings": "AAAA"}
    )
    sent = made(
        raised("TypeError", "x", frame("https://shop.example/app.js", 1, "e", colno=1)), platform="javascript"
    )
    found = unbundled(sent, lambda _: read(lone)).exception
    assert found is not None
    assert (found.frames[0].filename, found.frames[0].in_app) == ("node_modules/left-pad/index.js", False)


def test_the_caller_names_a_function_where_the_map_has_no_text():
    # two places on one line: the first names what it calls, the second is inside that function
    tokens = {"version": 3, "sources": ["a.js"], "names": ["reserve"], "mappings": "AAAAA,UACA"}
    sent = made(
        raised("TypeError", "x", frame("app.js", 1, "r", colno=1), frame("app.js", 1, "t", colno=12)),
        platform="javascript",
    )
    found = unbundled(sent, lambda _: read(json.dumps(tokens))).exception
    assert found is not None
    assert found.frames[1].function == "reserve"


def test_an_index_map_is_read_by_its_sections():
    inner = json.loads((BUNDLES / "dist" / "checkout.min.js.map").read_text())
    sections = [
        {
            "offset": {"line": 0, "column": 0},
            "map": {"version": 3, "sources": ["x.js"], "names": [], "mappings": "AAAA"},
        },
        {"offset": {"line": 3, "column": 0}, "map": inner},
    ]
    both = read(json.dumps({"version": 3, "sections": sections}))
    place = both.original(4, 109)
    assert place is not None
    assert (place.source, place.line) == ("src/cart.ts", 8)
    first = both.original(1, 50)
    assert first is not None
    assert first.source == "x.js"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no json", "not JSON"),
        (b"[]", "not a source map of version 3"),
        (b'{"version": 2}', "not a source map of version 3"),
        (b'{"version": 3, "sources": []}', "no mappings"),
        (b'{"version": 3, "mappings": "!!!"}', "cannot be read"),
        (b'{"version": 3, "mappings": "gggggggggggggg"}', "cannot be read"),
        (b"\xff\xfe", "not JSON"),
        (b'{"version": 3, "mappings": "AAAA' + b",A" * 2_000_001 + b'"}', "at most"),
        (b'{"version": 3, "mappings": "////////D,////////D"}', "cannot be read"),
    ],
)
def test_what_is_no_source_map_is_refused_with_one_sentence(content: bytes, said: str):
    with pytest.raises(BadPayload, match=said):
        read(content)


@given(st.text(alphabet="ACgDE,;+/", max_size=60), st.integers(-5, 40), st.integers(-5, 400))
def test_hostile_mappings_are_refused_or_answer_without_an_error(mappings: str, line: int, column: int):
    content = json.dumps({"version": 3, "sources": ["a.js"], "names": ["n"], "mappings": mappings})
    try:
        found = read(content).original(line, column)
    except BadPayload:
        return
    assert found is None or found.source == "a.js"


def test_of_several_maps_only_one_that_leaves_no_doubt_is_taken():
    path = "https://shop.example/static/js/app.min.js?v=3"
    assert (
        best_named(path, ["app.min.js", "static/js/app.min.js", "admin/app.min.js"]) == "static/js/app.min.js"
    )
    assert best_named(path, ["~/static/js/app.min.js"]) == "~/static/js/app.min.js"
    assert best_named(path, ["a/app.min.js", "b/app.min.js"]) is None
    assert best_named(path, ["other.js"]) is None


def test_a_map_of_half_a_megabyte_of_mappings_is_read_within_a_second_or_two():
    line = ",".join(["AAAA", *["IAAK"] * 100_000])
    started = time.process_time()
    found = read(json.dumps({"version": 3, "sources": ["a.js"], "names": [], "mappings": line}))
    assert found.original(1, 400_000) is not None
    assert time.process_time() - started < 3.0


def test_a_map_says_its_bundle_and_the_id_of_the_build():
    content = json.dumps({"version": 3, "file": "app.js", "debugId": "ABC-1", "mappings": ""})
    assert (source_maps.file_of(content), source_maps.debug_id(content)) == ("app.js", "abc-1")
