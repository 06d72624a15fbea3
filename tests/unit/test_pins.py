"""What a change of a lock file pins anew, out of real git hunks of each kind of lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixloop.changes.pins import Bump, bumps
from store.mirrors import Mirror, Mirrors
from tests.sandbox.histories import History, write

LOCKS = {
    "requirements.txt": "alpha==1.0  # why\nNames[fast]==1.0 \\\n    --hash=sha256:aa\nomega==3\n",
    "constraints.txt": "alpha==1.0\nnames == 1.0 ; python_version > '3'\n",
    "uv.lock": 'version = 1\n\n[[package]]\nname = "alpha"\nversion = "1.0"\n\n[[package]]\nname = "names"\n'
    'version = "1.0"\nsource = { registry = "simple" }\nsdist = { url = "names-1.0.tar.gz" }\n',
    "poetry.lock": '[[package]]\nname = "alpha"\nversion = "1.0"\ndescription = "A"\n\n[[package]]\nname = "names"\n'
    'version = "1.0"\ndescription = "N"\noptional = false\n',
    "Cargo.lock": '[[package]]\nname = "alpha"\nversion = "1.0.0"\n\n[[package]]\nname = "names"\nversion = "1.0"\n',
    "Pipfile.lock": '{\n    "default": {\n        "names": {\n            "hashes": [\n                "sha256:aa"\n'
    '            ],\n            "version": "==1.0"\n        }\n    }\n}\n',
    "package-lock.json": '{\n  "packages": {\n    "node_modules/alpha": {\n      "version": "1.0"\n    },\n'
    '    "node_modules/names": {\n      "version": "1.0",\n      "resolved": "x"\n    }\n  }\n}\n',
    "yarn.lock": 'alpha@^1.0:\n  version "1.0"\n\nnames@^1:\n  version "1.0"\n  resolved "x"\n',
    "go.mod": "module shop\n\nrequire (\n\texample.com/alpha v1.0.0\n\tnames v1.0\n)\n",
    "Gemfile.lock": "GEM\n  specs:\n    alpha (1.0)\n    names (1.0)\n",
    "composer.lock": '{\n    "packages": [\n        {\n            "name": "names",\n            "version": "1.0"\n'
    "        }\n    ]\n}\n",
}


def _newer(text: str) -> str:
    at = text.lower().index("names")
    return text[:at] + text[at:].replace("1.0", "2.0", 1)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    """A history in which `names` goes from 1.0 to 2.0 in every kind of lock at once."""
    folder = tmp_path_factory.mktemp("pins")
    newer = {path: _newer(text) for path, text in LOCKS.items()}
    write(folder / "repo", History("shop", [("A", "2024-01-01", LOCKS), ("B", "2024-02-01", newer)]))
    mirrors = Mirrors(folder / "mirrors")
    mirrors.add("shop", str(folder / "repo"))
    return mirrors.get("shop")


@pytest.mark.parametrize("path", LOCKS)
def test_the_package_and_both_versions_are_read_from_the_lines_that_changed(
    path: str, mirror: Mirror
) -> None:
    head = mirror.head()
    hunks = [hunk for hunk in mirror.history.hunks([head])[head] if hunk.path == path]
    assert bumps(hunks, mirror.text(head, path) or "") == [Bump("names", "1.0", "2.0")]


def test_a_package_that_comes_or_goes_has_one_version_and_hostile_lines_have_none(tmp_path: Path) -> None:
    texts = [
        "alpha==1\n",
        "alpha==1\nbeta==2\n",
        "beta==2\n" + "=" * 5000 + "\n" + '"' * 3000 + ":{" * 500 + "\n",
    ]
    write(
        tmp_path / "repo",
        History(
            "shop", [("C", f"2024-0{n}-01", {"requirements.txt": text}) for n, text in enumerate(texts, 1)]
        ),
    )
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.add("shop", str(tmp_path / "repo"))
    mirror = mirrors.get("shop")
    shas = mirror.history.reachable(mirror.head())
    read = [
        bumps(mirror.history.hunks([sha])[sha], mirror.text(sha, "requirements.txt") or "") for sha in shas
    ]
    assert read == [[Bump("alpha", "1", None)], [Bump("beta", None, "2")], [Bump("alpha", None, "1")]]
    assert [str(bump) for one in read for bump in one] == ["alpha 1 (no longer)", "beta 2", "alpha 1"]
