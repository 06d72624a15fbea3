"""`nightdesk proof`: run the proof of a fix again."""

from __future__ import annotations

import re
from pathlib import Path

import click

from server.cli.output import NO, common, emit, open_house
from server.house import House
from server.incidents.proof_files import FOLDER, file_of
from server.repairs.proofs import read, verify
from store import queries
from store.errors import NotFound


@click.group()
def command() -> None:
    """Proofs of fixes. Each proven repair has a file; the JSON of its incident says where."""


@command.command("verify")
@click.argument("target", metavar="FILE|INC-n")
@click.option("--repo", "repos", multiple=True, metavar="NAME=PATH",
              help="A clone to use in place of the mirror; repeatable.")  # fmt: skip
@common
def verify_(target: str, repos: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Run a proof again, offline: from its file, the mirrors or clones, and the environment that is there. Exit 3 where
    it does not hold."""
    clones = dict(_clone(given) for given in repos)
    with open_house(data) as house:
        found = verify(house, read(_place(house, target)), clones)
    text = f"{found.incident}: {found.said}\n{found.same_runs} of {found.runs} runs had the recorded outcome."
    emit(found, text, as_json=as_json)
    if not found.holds:
        raise SystemExit(NO)


def _place(house: House, target: str) -> Path:
    """The file that is meant: a path, also from the data folder on, or an incident's."""
    for place in (Path(target), house.config.data / target):
        if place.is_file():
            return place
    if not re.fullmatch(r"(?i)(INC-)?[0-9]{1,12}", target):
        raise NotFound(f"There is no proof file {target[:200]!r}.")
    proven = [each for each in queries.attempts(house.database, target) if each.proof is not None]
    if not proven:
        raise NotFound(f"{target} has no proven fix; `nightdesk repair {target}` looks for one.")
    return house.config.data / (file_of(house, proven[-1]) or FOLDER / f"{proven[-1].id}.json")


def _clone(given: str) -> tuple[str, Path]:
    name, separator, place = given.partition("=")
    if not separator or not place:
        raise click.BadParameter(f"{given!r} is not NAME=PATH.", param_hint="--repo")
    return name, Path(place)
