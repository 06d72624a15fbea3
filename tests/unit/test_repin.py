"""One package in another version, in each kind of file that pins it; and whether a change does only that."""

from __future__ import annotations

import pytest

from fixloop.changes.repin import only_moved, pins, repinned, taken_over

PROJECT = """[project]
name = "app"
dependencies = [
    "names[fast]==1.0 ; python_version > '3'",
    'other==1.0',
]
"""
LOCK = """version = 1
revision = 2

[[package]]
name = "app"
version = "0"
source = { virtual = "." }
dependencies = [
    { name = "names" },
]

[[package]]
name = "names"
version = "1.0"
source = { registry = "simple" }
wheels = [
    { url = "names-1.0.whl", hash = "sha256:aa" },
]

[[package]]
name = "other"
version = "1.0"
source = { registry = "simple" }
"""
ANEW = LOCK.replace("revision = 2", "revision = 3").replace(
    'name = "names"\nversion = "1.0"', 'name = "names"\nversion = "1.1"'
)
HASHED = """other==1.0 \\
    --hash=sha256:00
Names == 1.0 ; python_version > '3' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via app
"""


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("requirements.txt", "names==1.0\nnames-x==1.0\n", "names==1.1\nnames-x==1.0\n"),
        ("requirements.txt", "Names[a]== 1.0  # why ==1.0", "Names[a]== 1.1  # why ==1.0"),
        ("requirements-dev.in", "names==1.0.1\n-r base.txt\n", "names==1.0.1\n-r base.txt\n"),
        ("requirements.txt", "names>=1.0\n", "names>=1.0\n"),
        ("pyproject.toml", PROJECT, PROJECT.replace("fast]==1.0", "fast]==1.1")),
    ],
)
def test_the_pin_of_that_package_moves_and_nothing_else(path: str, before: str, after: str) -> None:
    assert repinned(path, before, "names", "1.0", "1.1") == after
    assert pins(path, before, "names", "1.0") == (before != after)
    assert only_moved(path, before, after, "names", "1.0", "1.1") == (before != after)


def test_hashes_of_the_line_are_exchanged_and_those_of_others_stay() -> None:
    moved = repinned("requirements.txt", HASHED, "names", "1.0", "1.1", ("sha256:cc",))
    assert moved == (
        "other==1.0 \\\n    --hash=sha256:00\nNames == 1.1 ; python_version > '3' \\\n    --hash=sha256:cc\n"
        "    # via app\n"
    )
    assert only_moved("requirements.txt", HASHED, moved, "names", "1.0", "1.1")


def test_of_a_lock_only_the_block_of_the_package_is_taken_over() -> None:
    moved = taken_over(LOCK, ANEW, "names")
    assert moved == LOCK.replace('name = "names"\nversion = "1.0"', 'name = "names"\nversion = "1.1"')
    assert only_moved("uv.lock", LOCK, moved, "names", "1.0", "1.1")
    assert pins("uv.lock", LOCK, "names", "1.0")


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("requirements.txt", "names==1.0\n", "names==1.1\nmine==6.6\n"),
        ("requirements.txt", "names==1.0\n", "names==1.2\n"),
        ("requirements.txt", "names==1.0\nother==1.0\n", "names==1.1\nother==1.1\n"),
        ("requirements.txt", "names==1.0\n", "--index-url=https://example.org\nnames==1.1\n"),
        ("requirements.txt", HASHED, HASHED.replace("Names == 1.0", "Names == 1.1").replace("00", "11")),
        (
            "requirements.txt",
            HASHED,
            HASHED.replace("Names == 1.0", "Names == 1.1").replace("--hash=sha256:bb", "-i=x"),
        ),
        ("pyproject.toml", PROJECT, PROJECT.replace("==1.0", "==1.1")),
        ("uv.lock", LOCK, ANEW.replace('name = "other"\nversion = "1.0"', 'name = "other"\nversion = "2.0"')),
        ("uv.lock", LOCK, ANEW),
        ("uv.lock", LOCK, ANEW.replace("[[package]]", "[[package]", 1)),
        ("app/names.py", "names==1.0\n", "names==1.1\n"),
    ],
)
def test_a_change_that_does_more_than_that_is_told(path: str, before: str, after: str) -> None:
    assert not only_moved(path, before, after, "names", "1.0", "1.1")
