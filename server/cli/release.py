"""`nightdesk release`: which commit of which repository runs where since when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.house import House
from server.moments import moment, stamp
from store import journal, queries, recurring
from store.errors import NotFound
from store.project import Release


@click.group()
def command() -> None:
    """Releases: which commit of which repository runs where since when."""


@command.command("add")
@click.argument("version")
@click.option(
    "--repo",
    "repos",
    multiple=True,
    metavar="NAME=SHA",
    help="A repository's commit, tag or branch; repeatable.",
)
@click.option("--environment", default=None, help="Where it runs.")
@click.option(
    "--at", default=None, metavar="TIME", help="Since when (ISO 8601; without a zone: UTC). Default: now."
)
@click.option("--project", default="default", show_default=True, help="The project that is released.")
@common
def add(
    version: str,
    repos: tuple[str, ...],
    environment: str | None,
    at: str | None,
    project: str,
    data: Path | None,
    as_json: bool,
) -> None:
    """Record that VERSION runs, and from which commits it was made."""
    deployed = moment(at) if at else datetime.now(UTC)
    with open_house(data) as house:
        owner = queries.project(house.database, project).name
        commits = dict(_commit(house, given) for given in repos)
        row = Release(
            project=owner, version=version, commits=commits, environment=environment, deployed_at=deployed
        )
        journal.add_release(house.database, row)
    emit(
        row,
        f"{version} runs since {stamp(deployed)}: {_commits(row) or 'no commits given'}.",
        as_json=as_json,
    )


@command.command("list")
@click.option("--project", default="default", show_default=True, help="The project that is released.")
@common
def list_(project: str, data: Path | None, as_json: bool) -> None:
    """Every release that is known."""
    with open_house(data) as house:
        rows = queries.releases(house.database, project)
    lines = [
        [
            row.version,
            row.environment or "-",
            stamp(row.deployed_at) if row.deployed_at else "-",
            _commits(row),
        ]
        for row in rows
    ]
    emit(rows, table(lines), as_json=as_json)


def _commit(house: House, given: str) -> tuple[str, str]:
    """`NAME=REV` as the repository's name and the full sha; the revision must be in the mirror."""
    name, separator, rev = given.partition("=")
    if not separator or not rev:
        raise click.BadParameter(f"{given!r} is not NAME=SHA.", param_hint="--repo")
    if name not in house.mirrors.names():
        raise NotFound(f"There is no repository {name!r}; add it with `nightdesk repo add {name} PATH`.")
    commit = house.mirrors.get(name).resolve(rev)
    if commit is None:
        raise NotFound(f"{name} has no commit {rev!r}; `nightdesk repo sync {name}` fetches what is new.")
    return name, commit


def _commits(release: Release) -> str:
    return ", ".join(f"{repo} {sha[:10]}" for repo, sha in release.commits.items())


@command.command("served")
@click.argument("version")
@click.option("--count", required=True, type=click.IntRange(1, 10**12), help="How many requests.")
@click.option("--transaction", default="", help="Of this transaction only; without: all there were.")
@click.option("--environment", default="", help="Where it ran.")
@click.option("--at", default=None, metavar="TIME", help="When. Default: now.")
@click.option("--project", default="default", show_default=True, help="The project that is released.")
@common
def served(
    version: str,
    count: int,
    transaction: str,
    environment: str,
    at: str | None,
    project: str,
    data: Path | None,
    as_json: bool,
) -> None:
    """Count requests that VERSION has served: what the rate of a fix that holds is a share of. Sentry's SDKs count
    them by themselves (sessions)."""
    when = moment(at) if at else datetime.now(UTC)
    with open_house(data) as house:
        owner = queries.project(house.database, project)
        recurring.expose(house.database, owner.id, [(version, environment, transaction, when, count)])
    told = {
        "project": owner.name,
        "version": version,
        "count": count,
        "at": when,
        "transaction": transaction or None,
    }
    emit(told, f"{version} has served {count} more requests.", as_json=as_json)
