"""`nightdesk sourcemap`: what the bundles of a release were built from."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.knowing.bundles import LARGEST, bundle_of, kept
from server.moments import stamp
from store import queries, source_maps
from store.artifacts import Artifacts
from store.errors import BadPayload, NotFound, OverLimit
from store.source_maps import KeptMap


@click.group()
def command() -> None:
    """Source maps: stack traces of bundled JavaScript are told as the original files."""


@command.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE|FOLDER…")
@click.option("--release", default=None, help="The release that the bundles are of. Default: any.")
@click.option(
    "--prefix", default="", help="What stands before a bundle's name in its address, such as static/js/."
)
@click.option("--project", default="default", show_default=True, help="The project that sends the traces.")
@common
def add(
    files: tuple[Path, ...], release: str | None, prefix: str, project: str, data: Path | None, as_json: bool
) -> None:
    """Keep source maps (`.map` files, or all of a folder). The bundle of `app.js.map` is `app.js`; of a file in a
    folder, with its path below it."""
    found = [place for given in files for place in _maps(given)]
    with open_house(data) as house:
        owner = queries.project(house.database, project).name
        read = [(name, _kept(house.artifacts, path, prefix + name, release)) for path, name in found]
        for _, each in read:
            source_maps.add(house.database, owner, each, "operator")
    rows = [{"name": each.name, "release": each.release, "debug_id": each.debug_id} for _, each in read]
    emit(
        rows, "\n".join(f"{each.name}  {each.release or 'any release'}" for _, each in read), as_json=as_json
    )


@command.command("list")
@click.option("--project", default="default", show_default=True, help="The project that sends the traces.")
@common
def list_(project: str, data: Path | None, as_json: bool) -> None:
    """Every source map that was added."""
    with open_house(data) as house:
        rows = source_maps.all_of(house.database, project)
    lines = [
        [row.name, row.release or "any release", stamp(row.created_at) if row.created_at else "-"]
        for row in rows
    ]
    shown = [
        {"name": row.name, "release": row.release, "debug_id": row.debug_id, "added_at": row.created_at}
        for row in rows
    ]
    emit(shown, table(lines), as_json=as_json)


def _maps(given: Path) -> list[tuple[Path, str]]:
    """The maps that a path means, each with its bundle's name. Raises NotFound."""
    if given.is_dir():
        inside = sorted(given.rglob("*.map"))
        if not inside:
            raise NotFound(f"There is no .map file in {given}.")
        return [(path, path.relative_to(given).as_posix().removesuffix(".map")) for path in inside]
    return [(given, bundle_of(given.name))]


def _kept(artifacts: Artifacts, path: Path, name: str, release: str | None) -> KeptMap:
    """One file, read. Raises NotFound, OverLimit, BadPayload naming it."""
    try:
        if path.stat().st_size > LARGEST:
            raise OverLimit(f"{path} has more than {LARGEST >> 20} MiB.")
        content = path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return kept(artifacts, name, content, release)
    except BadPayload as error:
        raise BadPayload(f"{path}: {error}") from error
