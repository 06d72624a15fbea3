"""Wheels of made-up libraries, and a folder of them as the only index there is."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest


def wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], requires: Sequence[str] = ()
) -> Path:
    """A pure wheel of these files."""
    about = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    kind = "Wheel-Version: 1.0\nGenerator: made by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    every = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{about}/WHEEL": kind,
    }
    record = "".join(f"{path},,\n" for path in (*every, f"{about}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        for path, text in {**every, f"{about}/RECORD": record}.items():
            archive.writestr(path, text)
    return place


def hashing_index(patch: pytest.MonkeyPatch, folder: Path) -> dict[str, str]:
    """The same wheels as an index that says their hashes, as those of the net do; file name to hash."""
    hashes = {}
    for place in sorted(folder.glob("*.whl")):
        project = folder / "index" / place.name.partition("-")[0]
        project.mkdir(parents=True, exist_ok=True)
        (project / place.name).write_bytes(place.read_bytes())
        hashes[place.name] = "sha256:" + hashlib.sha256(place.read_bytes()).hexdigest()
        link = f'<a href="{place.name}#{hashes[place.name].replace(":", "=")}">{place.name}</a>\n'
        with (project / "index.html").open("a") as page:
            page.write(link)
    patch.delenv("UV_FIND_LINKS")
    patch.delenv("UV_NO_INDEX")
    patch.setenv("UV_DEFAULT_INDEX", (folder / "index").as_uri())
    return hashes


def only_index(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let uv know of these wheels and of nothing else, without a network."""
    patch.setenv("UV_FIND_LINKS", str(folder))
    patch.setenv("UV_NO_INDEX", "1")
    patch.setenv("UV_OFFLINE", "1")
    patch.setenv("UV_CACHE_DIR", str(folder / "cache"))
