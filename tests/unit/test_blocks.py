"""Blocks of a diff: any of them can be taken in or left out, and the text is exact."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixloop.blocks import by_file, compose, merge, parse, split, undo, unified
from store.errors import BadPayload

LINES = st.sampled_from(
    ["a", "b", "c", "", " x", "\tx", "d\r", "f\x0cg", "u\u2028v", "- minus", "+ plus", "\\ back", "é"]
)
TEXTS = st.tuples(st.lists(LINES, max_size=12), st.booleans()).map(
    lambda made: "\n".join(made[0]) + ("\n" if made[1] and made[0] else "")
)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(0, 5), st.data())
def test_all_blocks_give_the_new_text_and_taking_them_out_gives_the_old(
    old: str, new: str, context: int, draw: st.DataObject
) -> None:
    blocks = parse(unified({"f.py": old}, {"f.py": new}, context))
    assert compose(old, blocks) == new
    assert undo(new, blocks, blocks) == old
    chosen = [block for block in blocks if draw.draw(st.booleans())]
    others = [block for block in blocks if block not in chosen]
    assert undo(new, blocks, chosen) == compose(old, others)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_blocks_are_the_same_with_any_context(old: str, new: str) -> None:
    told = [parse(unified({"f.py": old}, {"f.py": new}, context)) for context in (0, 3, 20)]
    assert told[0] == told[1] == told[2]


@settings(deadline=None)
@given(TEXTS)
def test_lines_end_at_newlines_only_and_together_are_the_text(text: str) -> None:
    assert "".join(split(text)) == text
    assert all("\n" not in line[:-1] for line in split(text))


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_a_file_that_comes_or_goes_is_created_or_deleted(old: str, new: str) -> None:
    if new:
        made = parse(unified({"f.py": None}, {"f.py": new}))
        assert (compose(None, made), all(block.created for block in made)) == (new, True)
    if old:
        gone = parse(unified({"f.py": old}, {"f.py": None}))
        assert (compose(old, gone), all(block.deleted for block in gone)) == (None, True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize(
    ("old", "new"),
    [("a\nb\n", "a\nc\n"), ("a\nb", "a\nb\n"), ("a\r\nb\r\n", "a\r\nc\r\nd\r\n"), ("", "x\n"), ("x\n", ""),
     ("p\x0cq\nr\n", "p\x0cq\ns\n"), ("a\nb\nc", "z\na\nc")],
)  # fmt: skip
def test_git_applies_what_is_written_and_what_git_writes_is_read(old: str, new: str, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_bytes(old.encode())
    command = ["git", "-c", "core.autocrlf=false", "apply", "-"]
    text = unified({"f.py": old}, {"f.py": new})
    subprocess.run(command, cwd=tmp_path, input=text.encode(), check=True, timeout=30)
    assert (tmp_path / "f.py").read_bytes() == new.encode()
    (tmp_path / "before.py").write_bytes(old.encode())
    told = subprocess.run(
        ["git", "diff", "--no-index", "--no-color", "before.py", "f.py"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=30,
    ).stdout.decode()
    assert compose(old, parse(told)) == new


def test_a_block_whose_lines_are_not_there_is_not_applied() -> None:
    blocks = parse(unified({"f.py": "a\nb\n"}, {"f.py": "a\nc\n"}))
    with pytest.raises(ValueError, match=r"f\.py:2"):
        compose("a\nx\n", blocks)


def test_pieces_of_one_hunk_are_separate_blocks_by_file() -> None:
    old, new = "a\nb\nc\nd\n", "A\nb\nc\nD\n"
    grouped = by_file(parse(unified({"x.py": old, "y.py": "1\n"}, {"x.py": new, "y.py": "2\n"})))
    assert {path: [block.start for block in blocks] for path, blocks in grouped.items()} == {
        "x.py": [1, 4],
        "y.py": [1],
    }


def test_a_path_in_quotes_is_read_as_git_means_it() -> None:
    diff = '--- "a/conf\\164est.py"\n+++ "b/conf\\164est.py"\n@@ -1 +1 @@\n-a\n+b\n'
    assert [block.path for block in parse(diff)] == ["conftest.py"]
    diff = '--- "a/caf\\303\\251 \\"x\\".py"\n+++ "b/caf\\303\\251 \\"x\\".py"\n@@ -1 +1 @@\n-a\n+b\n'
    assert [block.path for block in parse(diff)] == ['café "x".py']


def test_what_is_no_diff_is_a_bad_payload() -> None:
    with pytest.raises(BadPayload, match="cannot be read"):
        parse("--- a/f.py\n+++ b/f.py\n@@ -1,3 +1 @@\n-a\n")


def test_a_merge_gives_both_changes_or_none() -> None:
    base = "a\nb\nc\nd\ne\n"
    assert merge(base.replace("a", "A"), base, base.replace("e", "E")) == "A\nb\nc\nd\nE\n"
    assert merge(base.replace("a", "A"), base, base.replace("a", "X")) is None
