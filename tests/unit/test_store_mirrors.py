"""Mirrors over real repositories: renames, merges, hostile names, and histories that are not whole."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store.errors import NotAllowed, NotFound, Unavailable
from store.git import unquote
from store.mirrors import Mirror, Mirrors

OPTION = "--output=stolen"
BROKEN = 'line\nbreak "quoted"\t\\ä'


class Source:
    """A repository with a work tree, in which every commit is a day later than the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.day = 0
        folder.mkdir()
        self.run("init", "--quiet", "--initial-branch=main")

    def run(self, *arguments: str) -> str:
        identity = {
            "NAME": "Ada",
            "EMAIL": "ada@example.org",
            "DATE": f"{1_700_000_000 + 86_400 * self.day} +0530",
        }
        env = {
            f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in identity.items()
        }
        env |= {
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.strip()

    def commit(self, subject: str, **files: str) -> str:
        return self.commit_files(subject, {name.replace("_", "."): text for name, text in files.items()})

    def commit_files(self, subject: str, files: dict[str, str]) -> str:
        self.day += 1
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        self.run("add", "--all")
        self.run("commit", "--quiet", "--allow-empty", "-m", subject)
        return self.run("rev-parse", "HEAD")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "source")


@pytest.fixture
def mirrors(tmp_path: Path) -> Mirrors:
    return Mirrors(tmp_path / "mirrors")


def mirror_of(mirrors: Mirrors, source: Source) -> Mirror:
    return mirrors.add("team/api", str(source.folder))


def test_a_root_commit_is_told_against_the_empty_tree(mirrors: Mirrors, source: Source) -> None:
    root = source.commit("root", a_py="one\n")
    mirror = mirror_of(mirrors, source)

    (found,) = mirror.log(root)

    assert (found.sha, found.parents, found.files, found.subject) == (root, (), ("a.py",), "root")
    assert found.author == "Ada <ada@example.org>"
    assert found.committed_at == datetime.fromtimestamp(1_700_086_400, UTC)
    assert "--- /dev/null\n+++ b/a.py\n@@ -0,0 +1 @@\n+one\n" in mirror.diff(root)


def test_a_rename_touches_both_names_and_blame_follows_it(mirrors: Mirrors, source: Source) -> None:
    root = source.commit("root", a_py="one\ntwo\nthree\n")
    source.run("mv", "a.py", "b.py")
    renamed = source.commit("rename")
    edited = source.commit("edit", b_py="one\n  two\nTHREE\n")
    mirror = mirror_of(mirrors, source)

    blamed = mirror.blame("main", "b.py", 1, 99)

    assert mirror.log(renamed)[0].files == ("a.py", "b.py")
    assert "rename from a.py\nrename to b.py" in mirror.diff(renamed)
    assert [(line.line, line.commit, line.original_path) for line in blamed] == [
        (1, root, "a.py"),
        (2, root, "a.py"),
        (3, edited, "b.py"),
    ]
    assert [line.text for line in blamed] == ["one", "  two", "THREE"]


def test_a_merge_is_told_against_its_first_parent(mirrors: Mirrors, source: Source) -> None:
    root = source.commit("root", a_py="one\n")
    source.run("checkout", "--quiet", "-b", "side")
    side = source.commit("side", b_py="side\n")
    source.run("checkout", "--quiet", "main")
    main = source.commit("main", c_py="main\n")
    source.run("merge", "--quiet", "--no-commit", "side")
    merge = source.commit("merge", a_py="edited in the merge\n")
    mirror = mirror_of(mirrors, source)

    found = mirror.log("main")

    assert [commit.sha for commit in found] == [merge, main, side, root]
    assert found[0].parents == (main, side)
    assert found[0].files == ("a.py", "b.py")
    assert "+edited in the merge" in mirror.diff(merge)
    assert "c.py" not in mirror.diff(merge)
    assert mirror.diff_between(main, merge) == mirror.diff(merge)
    assert mirror.is_ancestor(side, merge)
    assert not mirror.is_ancestor(side, main)


def test_the_log_can_be_narrowed(mirrors: Mirrors, source: Source) -> None:
    commits = [
        source.commit("first", a_py="1\n"),
        source.commit("second", a_py="2\n", b_py="2\n"),
        source.commit("empty"),
        source.commit(":colon", b_py="3\n"),
    ]
    mirror = mirror_of(mirrors, source)

    by_path = mirror.log("main", paths=["a.py"])
    since = mirror.log("main", since=datetime.fromtimestamp(1_700_000_000 + 86_400 * 3, UTC))

    assert [commit.sha for commit in mirror.log("main")] == commits[::-1]
    assert [(commit.sha, commit.files) for commit in by_path] == [
        (commits[1], ("a.py", "b.py")),
        (commits[0], ("a.py",)),
    ]
    assert [(commit.subject, commit.files) for commit in since] == [(":colon", ("b.py",)), ("empty", ())]
    assert [commit.sha for commit in mirror.log("main", limit=1)] == [commits[3]]
    assert mirror.log("main", paths=["*.py"]) == []


def test_hostile_names_are_only_names(mirrors: Mirrors, source: Source, tmp_path: Path) -> None:
    sha = source.commit_files("names", {OPTION: "option\n", BROKEN: "broken\n", ":(glob)**": "magic\n"})
    mirror = mirror_of(mirrors, source)
    names = [OPTION, BROKEN, ":(glob)**"]

    assert sorted(mirror.paths(sha)) == sorted(names)
    assert sorted(mirror.log(sha)[0].files) == sorted(names)
    assert mirror.blobs(sha, [*names, "absent", "a\nb", ""]) == {
        OPTION: b"option\n",
        BROKEN: b"broken\n",
        ":(glob)**": b"magic\n",
        "absent": None,
        "a\nb": None,
        "": None,
    }
    for name in names:
        assert [line.original_path for line in mirror.blame(sha, name, 1, 1)] == [name]
        assert mirror.diff(sha, paths=[name]).count("\n+++ ") == 1
        assert mirror.log(sha, paths=[name])[0].sha == sha
    mirror.export(sha, tmp_path / "tree")
    assert {path.name for path in (tmp_path / "tree").iterdir()} == set(names)


@pytest.mark.parametrize(
    "rev", ["--output=x", "-h", "", "a\nb", "a\0b", "nothing", "0" * 40, "HEAD:a.py", "main..main"]
)
def test_a_revision_that_means_no_commit_is_none(mirrors: Mirrors, source: Source, rev: str) -> None:
    source.commit("root", a_py="one\n")

    assert mirror_of(mirrors, source).resolve(rev) is None


def test_branches_and_tags_lead_to_commits(mirrors: Mirrors, source: Source) -> None:
    root = source.commit("root", a_py="one\n")
    source.run("tag", "light")
    source.run("tag", "-a", "-m", "annotated", "v1.0")
    source.run("tag", "tree", "HEAD^{tree}")
    source.run("branch", "feature/x")
    mirror = mirror_of(mirrors, source)

    assert mirror.tags() == {"light": root, "v1.0": root}
    assert mirror.branches() == {"feature/x": root, "main": root}
    assert (mirror.head(), mirror.default_branch()) == (root, "main")
    assert mirror.resolve("v1.0") == mirror.resolve(root[:10]) == root


def test_only_text_is_text(mirrors: Mirrors, source: Source) -> None:
    (source.folder / "binary").write_bytes(b"a\0b")
    (source.folder / "latin").write_bytes(b"\xe4")
    (source.folder / "folder").mkdir()
    source.commit_files("root", {"text": "ä\r\n", "folder/file": "x"})
    mirror = mirror_of(mirrors, source)

    assert mirror.text("main", "text") == "ä\r\n"
    for path in ("binary", "latin", "folder", "folder/", "absent"):
        assert mirror.text("main", path) is None
    assert mirror.blob("main", "binary") == b"a\0b"


def test_blame_is_cut_at_the_end_of_the_file(mirrors: Mirrors, source: Source) -> None:
    source.commit_files("root", {"a.py": "one\ntwo", "empty": ""})
    mirror = mirror_of(mirrors, source)

    assert [line.line for line in mirror.blame("main", "a.py", 2, 50)] == [2]
    assert mirror.blame("main", "a.py", 3, 50) == []
    assert mirror.blame("main", "empty", 1, 1) == []
    with pytest.raises(NotFound, match="no file 'absent'"):
        mirror.blame("main", "absent", 1, 1)


def test_an_export_is_what_the_commit_holds_whatever_its_attributes_say(
    mirrors: Mirrors, source: Source, tmp_path: Path
) -> None:
    attributes = "* text eol=crlf\ntests export-ignore\nversion export-subst\n"
    source.commit_files(
        "root", {".gitattributes": attributes, "tests/t.py": "t\n", "version": "$Format:%H$\n"}
    )
    (source.folder / "run.sh").write_text("#!/bin/sh\n")
    (source.folder / "run.sh").chmod(0o755)
    (source.folder / "inside").symlink_to("tests/t.py")
    (source.folder / "outside").symlink_to("/etc/passwd")
    source.commit("links")
    mirror = mirror_of(mirrors, source)

    mirror.export("main", tmp_path / "tree")

    tree = tmp_path / "tree"
    assert (tree / "tests" / "t.py").read_bytes() == (tree / "inside").read_bytes() == b"t\n"
    assert (tree / "version").read_text() == "$Format:%H$\n"
    assert (tree / "run.sh").stat().st_mode & 0o777 == 0o755
    assert not (tree / "outside").is_symlink()
    with pytest.raises(ValueError, match="is not empty"):
        mirror.export("main", tree)


def test_a_mirror_follows_its_source(mirrors: Mirrors, source: Source) -> None:
    source.commit("root", a_py="one\n")
    source.run("branch", "old")
    mirror = mirror_of(mirrors, source)
    source.run("branch", "-D", "old")
    source.run("checkout", "--quiet", "-b", "trunk")
    newer = source.commit("newer", a_py="two\n")

    mirrors.sync("team/api")

    assert mirror.resolve("old") is None
    assert (mirror.default_branch(), mirror.head()) == ("trunk", newer)


@pytest.mark.parametrize(("branches", "expected"), [(["main", "zeta"], "main"), (["alpha", "zeta"], "zeta")])
def test_a_bundle_without_its_head_gets_a_default_branch(
    mirrors: Mirrors, source: Source, tmp_path: Path, branches: list[str], expected: str
) -> None:
    for name in branches:
        source.run("checkout", "--quiet", "-B", name)
        source.commit(name, a_py=name)
    source.run("bundle", "create", str(tmp_path / "x.bundle"), *branches)

    mirror = mirrors.add("x", str(tmp_path / "x.bundle"))
    mirrors.sync("x")

    assert mirror.default_branch() == expected
    assert mirror.text("HEAD", "a.py") == expected


def test_a_name_stands_for_one_repository(mirrors: Mirrors, source: Source, tmp_path: Path) -> None:
    source.commit("root", a_py="one\n")
    other = Source(tmp_path / "other")
    other.commit("root", a_py="two\n")
    mirror_of(mirrors, source)

    assert mirror_of(mirrors, source).name == "team/api"
    with pytest.raises(NotAllowed, match="stands for"):
        mirrors.add("team/api", str(other.folder))
    mirrors.add("../x.git", str(other.folder))
    assert mirrors.names() == ["../x.git", "team/api"]
    assert mirrors.get("../x.git").folder.parent == mirrors.folder
    with pytest.raises(NotFound, match="no repository 'nothing'"):
        mirrors.get("nothing")


@pytest.mark.parametrize(
    "url", ["{tmp}", "{tmp}/absent", "--upload-pack=touch x", "ext::sh -c true", "file:///absent"]
)
def test_what_is_no_repository_is_not_found(mirrors: Mirrors, tmp_path: Path, url: str) -> None:
    with pytest.raises(NotFound, match="no git repository"):
        mirrors.add("x", url.format(tmp=tmp_path))

    assert mirrors.names() == []


def test_a_remote_that_does_not_answer_is_told_without_its_token(mirrors: Mirrors) -> None:
    with pytest.raises(Unavailable) as failed:
        mirrors.add("x", "http://user:token@127.0.0.1:1/x.git")

    assert failed.value.retry
    assert "token" not in str(failed.value)


def test_a_shallow_clone_is_refused_because_it_would_name_false_causes(
    mirrors: Mirrors, source: Source, tmp_path: Path
) -> None:
    source.commit("root", a_py="one\n")
    source.commit("second", a_py="two\n")
    source.run("clone", "--quiet", "--depth=1", f"file://{source.folder}", str(tmp_path / "shallow"))

    with pytest.raises(Unavailable, match="is a shallow clone; run"):
        mirrors.add("x", str(tmp_path / "shallow"))


def test_a_partial_clone_says_that_it_is_not_whole(source: Source, tmp_path: Path) -> None:
    source.commit("root", a_py="one\n")
    source.commit("second", a_py="two\n")
    source.run("config", "uploadpack.allowFilter", "true")
    source.run(
        "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{source.folder}", str(tmp_path / "part")
    )
    mirror = Mirror("part", tmp_path / "part")

    assert [commit.files for commit in mirror.log("main")] == [("a.py",), ("a.py",)]
    for reading in (
        lambda: mirror.blob("main", "a.py"),
        lambda: mirror.diff("main"),
        lambda: mirror.export("main", tmp_path / "tree"),
    ):
        with pytest.raises(Unavailable, match=r"not complete|lacks the content"):
            reading()


def test_a_commit_that_is_not_there_is_not_found(mirrors: Mirrors, source: Source, tmp_path: Path) -> None:
    source.commit("root", a_py="one\n")
    mirror = mirror_of(mirrors, source)
    for sha in ("0" * 40, "nothing"):
        for reading in (
            lambda sha=sha: mirror.paths(sha),
            lambda sha=sha: mirror.log(sha),
            lambda sha=sha: mirror.diff(sha),
            lambda sha=sha: mirror.blob(sha, "a.py"),
            lambda sha=sha: mirror.is_ancestor(sha, "main"),
            lambda sha=sha: mirror.export(sha, tmp_path / "tree"),
        ):
            with pytest.raises(NotFound, match=r"no such commit|no commit"):
                reading()


def test_a_repository_without_commits_says_so(mirrors: Mirrors, source: Source) -> None:
    mirror = mirror_of(mirrors, source)

    assert (mirror.branches(), mirror.default_branch()) == ({}, "main")
    with pytest.raises(NotFound, match="has no commits"):
        mirror.head()


def test_names_that_git_quotes_are_read_back() -> None:
    assert unquote(rb'"a\n\t\\\"\303\244"') == 'a\n\t\\"ä'.encode()
    assert unquote(b"plain") == b"plain"
    assert unquote(b'"') == b'"'
