"""The small parts of pages: diffs in colours, links into forges, charts, the bytes that are vendored."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from pathlib import Path

import pytest

from server.web.charts import before, columns, durations, length, sparkline
from server.web.diffs import diff_files
from server.web.highlight import coloured, lines_of, patched
from server.web.links import place_of
from server.web.proof import plainly, rows
from server.web.spans import spans, waterfall
from store.repair import Validation, ValidationVerdict
from tests.journeys import mcp_samples as samples

REPOSITORY = Path(__file__).resolve().parents[2]
OLD = '"""A docstring\nthat goes on.\n"""\nx = 1\ny = "<b>"\n'
DIFF = '--- a/f.py\n+++ b/f.py\n@@ -2,4 +2,4 @@\n that goes on.\n """\n-x = 1\n+x = 2\n y = "<b>"\n'


def test_a_hunk_that_begins_in_a_docstring_is_coloured_as_one() -> None:
    (file,) = coloured(diff_files(DIFF), {"f.py": OLD}.get)
    kinds = {line.text: str(line.shown) for line in file.lines}
    assert kinds["that goes on."] == '<span class="hl-sd">that goes on.</span>'
    assert 'class="hl-mi">2<' in kinds["x = 2"]
    assert "&lt;b&gt;" in kinds['y = "<b>"']
    assert (file.added, file.removed) == (1, 1)


def test_lines_of_a_file_that_is_not_what_the_diff_says_stay_plain() -> None:
    (file,) = coloured(diff_files(DIFF), {"f.py": "quite\nanother\nfile\naltogether\n"}.get, {"f.py": ""}.get)
    assert [line.html for line in file.lines] == [None] * len(file.lines)


def test_a_patched_file_is_the_old_one_with_the_diff_in_it() -> None:
    assert patched(OLD, diff_files(DIFF)[0].lines) == OLD.replace("x = 1", "x = 2")


def test_hunks_that_were_picked_one_by_one_are_one_file_and_no_heads_among_their_lines() -> None:
    picked = "".join(f"--- a/f.py\n+++ b/f.py\n@@ -{at},0 +{at},1 @@ \n+--- new\n" for at in (3, 9))
    (file,) = diff_files(picked)
    assert [line.text for line in file.lines if line.sign == "+"] == ["--- new", "--- new"]


def test_every_line_of_a_file_is_there_and_hostile_text_is_escaped() -> None:
    text = "<script>\n\n&'\"\n"
    assert len(lines_of("page.html", text)) == len(text.split("\n"))
    assert not any("<script" in str(line) for line in lines_of("a.unknown", text))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/team/shop.git", "https://github.com/team/shop/blob/abc/a%20b.py#L3"),
        ("https://user:secret@github.com/team/shop", "https://github.com/team/shop/blob/abc/a%20b.py#L3"),
        ("git@gitlab.com:team/sub/shop.git", "https://gitlab.com/team/sub/shop/-/blob/abc/a%20b.py#L3"),
        ("ssh://git@git.example.com/team/shop", "https://git.example.com/team/shop/-/blob/abc/a%20b.py#L3"),
        ("/srv/shop", None),
        ("https://elsewhere.example/team/shop", None),
        ("javascript:alert(1)", None),
    ],
)
def test_a_line_is_linked_where_the_forge_is_known(url: str, expected: str | None) -> None:
    place = place_of(url, {"git.example.com": "gitlab"})
    assert (place.file("abc", "a b.py", 3) if place else None) == expected


def test_charts_say_in_words_what_they_show() -> None:
    times = [samples.NOON + timedelta(hours=each) for each in (0, 0.5, 24)]
    drawn = str(sparkline(times, samples.NOON + timedelta(hours=24)))
    assert 'aria-label="3 events in the last 1 d, 2 in the busiest 1 h"' in drawn
    assert drawn.count("<rect") == 2
    assert str(sparkline([])) == ""
    drawn = str(durations({"a": (2.0, None), "b": (65.0, 120.0)}))
    assert 'aria-label="a: 2.0 s; b: 1 min 5 s, 9 of 10 within 2 min"' in drawn
    assert "0.50 US dollars in all" in str(columns({"2026-01-01": 0.5, "2026-01-02": 0.0}, "US dollars"))
    assert [length(each) for each in (0.012, 59, 3661, 90_000)] == ["12 ms", "59 s", "1 h 1 min", "1 d 1 h"]
    assert before(samples.NOON - timedelta(milliseconds=120), samples.NOON) == "-120 ms"


def test_spans_are_drawn_from_those_that_came_with_the_event() -> None:
    from_otlp = samples.Breadcrumb(
        timestamp=samples.NOON, category="span", level="error", message="<i>", data={"ms": 30.5}
    )
    event = samples.event(1, breadcrumbs=(from_otlp,))
    assert [(span.name, span.took, span.failed) for span in spans(event)] == [("<i>", 0.0305, True)]
    assert "&lt;i&gt;" in str(waterfall(event))
    assert not spans(samples.event(2))


def test_what_was_checked_says_whether_it_held() -> None:
    found = Validation(
        verdict=ValidationVerdict.FAILED, fails_before=(10, 10), passes_after=(9, 10),
        suite_before={"shop": {"passed": 5, "collected": 5, "failing": []}},
        suite_after={"shop": {"passed": 4, "collected": 5, "failing": ["test_a"]}},
    )  # fmt: skip
    early = {"passed": 2, "collected": 3, "failed": 1, "files": ["tests/test_a.py"]}
    refused = found.model_copy(update={"suite_before": {}, "suite_after": {"shop": {"affected": early}}})
    told = {row.name: row.seen for row in rows(refused)}
    assert told["Tests of shop that reach it"] == "2 of 3 passed, in 1 file(s) run first"
    assert not any(name.startswith("Test suite") for name in told)
    many = {"passed": 5, "collected": 40, "failed": 35, "failing": [f"test_{n}" for n in range(10, 30)]}
    fewer = {**many, "failed": 34, "failing": [f"test_{n}" for n in range(11, 31)]}
    mended = found.model_copy(update={"suite_before": {"shop": many}, "suite_after": {"shop": fewer}})
    assert {row.name: row.held for row in rows(mended)}["Test suite of shop"] is True
    cut = {**many, "complete": False, "said": "the suite did not end within its time"}
    reached = found.model_copy(update={"suite_before": {"shop": cut}, "suite_after": {"shop": fewer}})
    seen = {row.name: row.seen for row in rows(reached)}["Test suite of shop"]
    assert seen.endswith("(without the patch: the suite did not end within its time)")
    held = {row.name: row.held for row in rows(found)}
    assert held["Fails before"] is True
    assert held["Passes after"] is False
    assert held["Test suite of shop"] is False
    assert plainly({"tried_twice": 1, "of": [1, 2]}) == "tried twice 1, of 1; 2"


@pytest.mark.parametrize("folder", ["server/web/static/vendor", "tests/browser/vendor"])
def test_what_is_vendored_is_what_its_list_says(folder: str) -> None:
    place = REPOSITORY / folder
    listed = dict(
        re.findall(r"^\| `([\w.-]+\.js)` .* `([0-9a-f]{64})` \|$", (place / "VENDOR.md").read_text(), re.M)
    )
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in place.glob("*.js")}
    assert there == listed
    assert list(place.glob("LICENSE*"))
