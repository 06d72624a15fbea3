"""A blob comes back as it was, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.artifacts import Artifacts
from store.errors import NotFound, Unavailable


@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=2000))
def test_what_is_put_can_be_got_by_the_hash_of_its_content(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    artifacts = Artifacts(tmp_path_factory.getbasetemp() / "artifacts")

    digest = artifacts.put(content)

    assert digest == hashlib.sha256(content).hexdigest()
    assert artifacts.get(digest) == content


def test_the_same_content_is_kept_once_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)

    assert artifacts.put(b"x" * 9999) == artifacts.put(b"x" * 9999)

    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert kept.stat().st_size < 200


@pytest.mark.parametrize("digest", ["0" * 64, "", "../../etc/passwd", "0" * 63 + "\n", "A" * 64])
def test_a_hash_that_names_nothing_is_not_found(tmp_path: Path, digest: str) -> None:
    artifacts = Artifacts(tmp_path)

    assert not artifacts.has(digest)
    with pytest.raises(NotFound, match="There is no artifact"):
        artifacts.get(digest)


@pytest.mark.parametrize("found", [b"", b"not zlib"])
def test_a_damaged_blob_is_never_given_out(tmp_path: Path, found: bytes) -> None:
    artifacts = Artifacts(tmp_path)
    digest = artifacts.put(b"whole")
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    path.write_bytes(found)

    with pytest.raises(Unavailable, match="restore it from a backup"):
        artifacts.get(digest)


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable, match="Cannot write to"):
        Artifacts(tmp_path / "file").put(b"x")
