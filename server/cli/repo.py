"""`nightdesk repo`: the git repositories in which causes are looked for. They are mirrored, bare and
read-only."""

from __future__ import annotations

import re
from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.config import read_toml
from server.knowing.repository_part import validate
from store import journal, queries
from store.errors import BadPayload, NotFound
from store.project import RepositoryConfig


@click.group()
def command() -> None:
    """Git repositories: where causes are looked for and drafts are opened."""


@command.command("add")
@click.argument("name")
@click.argument("url", metavar="PATH|URL")
@click.option("--project", default="default", show_default=True, help="The project it belongs to.")
@click.option("--root", default=".", show_default=True, help="The folder inside it that is this project's.")
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Its .nightdesk.toml, if outside.",
)
@common
def add(
    name: str, url: str, project: str, root: str, file: Path | None, data: Path | None, as_json: bool
) -> None:
    """Mirror a repository and give it to a project. An existing NAME is mirrored anew."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,99}", name):
        raise BadPayload("A repository's name is letters, digits, dot, dash, plus, slash and underscore.")
    values = read_toml(file) if file else {}
    validate(values, str(file))
    local = Path(url).expanduser()
    origin = str(local.resolve()) if local.exists() else url
    with open_house(data) as house:
        owner = queries.project(house.database, project).name
        mirror = house.mirrors.add(name, origin)
        row = RepositoryConfig(name=name, project=owner, url=origin, root=root, config=values)
        head = mirror.head()
        journal.add_repository(house.database, row)
    emit(
        {**row.model_dump(), "head": head}, f"{name} is mirrored at {head[:10]} for {owner}.", as_json=as_json
    )


@command.command("list")
@click.option("--project", default=None, help="Only this project's.")
@common
def list_(project: str | None, data: Path | None, as_json: bool) -> None:
    """Every repository."""
    with open_house(data) as house:
        rows = queries.repositories(house.database, project)
    emit(rows, table([[row.name, row.project, row.root, row.url] for row in rows]), as_json=as_json)


@command.command("sync")
@click.argument("names", nargs=-1)
@common
def sync(names: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Fetch what is new into the mirrors; without NAMES, into all of them."""
    with open_house(data) as house:
        known = list(house.mirrors.names())
        for name in names:
            if name not in known:
                raise NotFound(f"There is no repository {name!r}; `nightdesk repo list` shows them.")
        heads = {}
        for name in names or known:
            house.mirrors.sync(name)
            heads[name] = house.mirrors.get(name).head()
    rows = [{"name": name, "head": head} for name, head in heads.items()]
    emit(rows, table([[name, head[:10]] for name, head in heads.items()]), as_json=as_json)
