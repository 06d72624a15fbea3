"""The index of a history over real repositories: merges of many kinds, rewritten branches, hostile text, missing parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.errors import NotFound, Unavailable
from store.history import History
from tests.journeys.histories import History as Source

HOSTILE = (
    "Merge\x01 it\n\n\x01deadbeef\n:100644 100644 aaaa bbbb M\n(cherry picked from commit zzz)\n"
    "diff --git a/x b/x\n@@ -1 +1 @@\n--upload-pack=touch\n'; DROP TABLE changes; --"
)


def made(tmp_path: Path) -> Source:
    source = Source(tmp_path / "source")
    source.commit("Start", {"app/a.py": "def one():\n    return 1\n\n\ndef two():\n    return 2\n"})
    return source


def opened(tmp_path: Path, source: Source) -> History:
    return History("app", source.folder / ".git", tmp_path / "index")


def test_a_change_is_found_by_its_file_and_says_what_it_did_to_which_function(tmp_path: Path) -> None:
    source = made(tmp_path)
    sha = source.commit("Twice", {"app/a.py": "def one():\n    return 1\n\n\ndef two():\n    return 4\n"})
    history = opened(tmp_path, source)
    assert history.reachable(sha)[0] == sha
    touches = {touch.sha: touch.kind for touch in history.touches(["app/a.py"])["app/a.py"]}
    assert touches[sha] == "M"
    (hunk,) = history.hunks([sha])[sha]
    assert (hunk.symbol, hunk.removed, hunk.added) == ("def two():", ("    return 2",), ("    return 4",))
    assert (hunk.old_start, hunk.new_start) == (6, 6)


def test_what_is_new_is_taken_in_and_what_is_known_is_kept(tmp_path: Path) -> None:
    source = made(tmp_path)
    first = source.git("rev-parse", "HEAD")
    history = opened(tmp_path, source)
    history.update(first)
    second = source.commit("More", {"app/b.py": "x = 1\n"})
    assert opened(tmp_path, source).reachable(second) == [second, first]
    assert set(history.changes([first, second])) == {first, second}


def test_an_old_release_does_not_contain_what_came_after_it(tmp_path: Path) -> None:
    source = made(tmp_path)
    old = source.git("rev-parse", "HEAD")
    new = source.commit("Later", {"app/a.py": "def one():\n    return 0\n"})
    history = opened(tmp_path, source)
    history.update(new)
    assert history.reachable(old) == [old]


def test_a_rewritten_branch_leaves_nothing_false_behind(tmp_path: Path) -> None:
    source = made(tmp_path)
    base = source.git("rev-parse", "HEAD")
    gone = source.commit("Wrong", {"app/a.py": "def one():\n    return 9\n"})
    history = opened(tmp_path, source)
    history.update(gone)
    source.git("reset", "-q", "--hard", base)
    right = source.commit("Right", {"app/a.py": "def one():\n    return 3\n"})
    source.git("reflog", "expire", "--expire=now", "--all")
    source.git("gc", "-q", "--prune=now")
    assert opened(tmp_path, source).reachable(right) == [right, base]
    with pytest.raises((NotFound, Unavailable)):
        opened(tmp_path, source).reachable("0" * 40)


def test_a_message_full_of_git_syntax_is_a_message(tmp_path: Path) -> None:
    source = made(tmp_path)
    sha = source.commit(HOSTILE, {"app/a.py": "@@ -1 +1 @@\n--- a/zzz\n+++ b/zzz\n"})
    after = source.commit("After", {"app/c.py": "y = 1\n"})
    history = opened(tmp_path, source)
    assert len(history.reachable(after)) == 3
    change = history.changes([sha])[sha]
    assert change.subject.startswith("Merge")
    assert change.picked_from == ()
    assert history.files([sha]) == {sha: ["app/a.py"]}
    assert {hunk.path for hunk in history.hunks([sha, after])[sha]} == {"app/a.py"}


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("Read it twice (#12)", "#12"),
        ("Merge pull request #7 from ada/topic\n\nTopic", "#7"),
        ("Merge branch 'topic' into 'main'\n\nTopic\n\nSee merge request group/app!31", "!31"),
        ("Topic\n\nPR-URL: https://forge.example/ada/app/pull/8", "#8"),
        ("Topic\n\nReviewed-on: https://review.example/c/app/+/4411", "#4411"),
        ("Closes the window, see #9", None),
    ],
)
def test_the_pull_request_is_read_from_the_message_of_each_forge(
    tmp_path: Path, message: str, wanted: str | None
) -> None:
    source = made(tmp_path)
    sha = source.commit(message, {"app/a.py": "x = 1\n"})
    history = opened(tmp_path, source)
    history.update(sha)
    assert history.changes([sha])[sha].pull_request == wanted


def test_reverts_and_cherry_picks_name_what_they_are_of(tmp_path: Path) -> None:
    source = made(tmp_path)
    first = source.git("rev-parse", "HEAD")
    message = f'Revert "Start"\n\nThis reverts commit {first}.\n\n(cherry picked from commit {first})'
    sha = source.commit(message, {"app/a.py": ""})
    history = opened(tmp_path, source)
    history.update(sha)
    change = history.changes([sha])[sha]
    assert change.reverts == (first,)
    assert change.picked_from == (first,)


def test_a_renamed_file_is_followed_and_its_move_says_from_where(tmp_path: Path) -> None:
    source = made(tmp_path)
    source.git("mv", "app/a.py", "app/moved.py")
    moved = source.commit("Move", {})
    history = opened(tmp_path, source)
    history.update(moved)
    (touch,) = history.touches(["app/moved.py"])["app/moved.py"]
    assert (touch.kind, touch.before) == ("R", "app/a.py")
    assert {line.original_path for line in history.blame(moved, "app/moved.py", [(1, 2)])} == {"app/a.py"}


def test_an_octopus_merge_has_no_files_of_its_own_and_all_its_parents(tmp_path: Path) -> None:
    source = made(tmp_path)
    base = source.git("rev-parse", "HEAD")
    tips = []
    for name in ("red", "green", "blue"):
        source.git("checkout", "-q", "-b", name, base)
        tips.append(source.commit(name, {f"app/{name}.py": "x = 1\n"}))
    source.git("checkout", "-q", "main")
    source.git("merge", "-q", "--no-edit", "red", "green", "blue")
    merge = source.git("rev-parse", "HEAD")
    history = opened(tmp_path, source)
    assert set(history.reachable(merge)) == {merge, base, *tips}
    assert set(history.changes([merge])[merge].parents) >= set(tips[1:])
    assert history.files([merge]) == {}


def test_a_shallow_clone_is_refused_with_what_to_do(tmp_path: Path) -> None:
    source = made(tmp_path)
    source.commit("More", {"app/b.py": "x = 1\n"})
    clone = tmp_path / "shallow"
    source.git("clone", "-q", "--depth=1", f"file://{source.folder}", str(clone))
    with pytest.raises(Unavailable, match="shallow clone, in which causes cannot be told"):
        History("app", clone / ".git", tmp_path / "index").update(source.git("rev-parse", "HEAD"))


def test_a_history_without_its_files_is_not_ranked_as_if_it_were_whole(tmp_path: Path) -> None:
    source = made(tmp_path)
    shas = [source.commit(f"Change {n}", {"app/a.py": f"x = {n}\n"}) for n in range(8)]
    source.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "partial"
    source.git("clone", "-q", "--bare", "--filter=blob:none", f"file://{source.folder}", str(clone))
    history = History("app", clone, tmp_path / "index")
    history.update(shas[-1])
    with pytest.raises(Unavailable, match="lacks the content of"):
        history.hunks(shas)


def test_a_submodule_is_a_path_like_any_other_and_nothing_is_fetched(tmp_path: Path) -> None:
    source = made(tmp_path)
    head = source.git("rev-parse", "HEAD")
    source.git("update-index", "--add", "--cacheinfo", f"160000,{head},vendored")
    source.git("commit", "-q", "-m", "Vendor it")
    sha = source.git("rev-parse", "HEAD")
    history = opened(tmp_path, source)
    history.update(sha)
    assert history.files([sha]) == {sha: ["vendored"]}
    assert [hunk.added for hunk in history.hunks([sha])[sha]] == [(f"Subproject commit {head}",)]


def test_the_clone_that_is_read_is_not_written_to(tmp_path: Path) -> None:
    source = made(tmp_path)
    sha = source.git("rev-parse", "HEAD")
    before = sorted(path.relative_to(source.folder) for path in source.folder.rglob("*"))
    history = opened(tmp_path, source)
    history.blame(sha, "app/a.py", [(1, 6)])
    history.hunks(history.reachable(sha))
    assert sorted(path.relative_to(source.folder) for path in source.folder.rglob("*")) == before
    assert history.grep(sha, "one|two") == [("app/a.py", 1, "def one():"), ("app/a.py", 5, "def two():")]
