"""Nothing of a hostile tree reaches outside the folder that it is written to."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from store.errors import Unavailable
from store.export import unpack


def archive(*entries: tuple[str, str, str]) -> io.BytesIO:
    """Entries are (kind, name, content or target)."""
    packed = io.BytesIO()
    kinds = {
        "file": tarfile.REGTYPE,
        "link": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
        "fifo": tarfile.FIFOTYPE,
    }
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for kind, name, text in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kinds[kind]
            content = text.encode() if kind == "file" else b""
            entry.size, entry.linkname = len(content), "" if kind == "file" else text
            tar.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed


@pytest.mark.parametrize(
    "entries",
    [
        [("file", "../stolen", "x")],
        [("file", "/stolen", "x")],
        [("file", "a/../../stolen", "x")],
        [("link", "a", "/"), ("file", "a/stolen", "x")],
        [("link", "a", "..")],
        [("link", "a", "b/../x"), ("link", "b", ".")],
        [("link", "a", "b/c"), ("link", "b", "..")],
        [("link", "a", ".."), ("link", "a/stolen", "x")],
        [("link", "a", "a")],
        [("hard", "a", "/etc/passwd"), ("fifo", "b", "")],
        [("file", ".git/config", "x"), ("file", "sub/.GIT/hooks/x", "x")],
    ],
)
def test_nothing_leads_out_of_the_folder(tmp_path: Path, entries: list[tuple[str, str, str]]) -> None:
    dest = tmp_path / "deep" / "tree"
    dest.mkdir(parents=True)

    unpack(archive(*entries), dest)

    assert list(tmp_path.iterdir()) == [tmp_path / "deep"]
    assert list((tmp_path / "deep").iterdir()) == [dest]
    for path in dest.rglob("*"):
        assert path.resolve().is_relative_to(dest)
        assert ".git" not in path.as_posix().lower()
        assert path.is_dir() or path.is_symlink() or path.is_file()


def test_a_link_that_stays_inside_is_kept(tmp_path: Path) -> None:
    unpack(archive(("link", "a/here", "../b/file"), ("file", "b/file", "x")), tmp_path)

    assert (tmp_path / "a" / "here").read_text() == "x"


@pytest.mark.parametrize("packed", [b"not a tar" * 200, b"\1" * 512])
def test_an_archive_that_is_not_whole_is_told_in_a_sentence(tmp_path: Path, packed: bytes) -> None:
    with pytest.raises(Unavailable, match="could not be read"):
        unpack(io.BytesIO(packed), tmp_path)


def test_a_tree_that_holds_a_name_twice_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="could not be written"):
        unpack(archive(("file", "a", "1"), ("file", "a", "2")), tmp_path)
