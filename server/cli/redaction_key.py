"""`nightdesk redaction-key`: which key makes the tokens, and a new one."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.config import load
from server.house import make_folder
from server.intake.redaction import KEY_FILE, redaction_key
from server.intake.same_key import name_of, replace
from store.database import Database


@click.command()
@click.option("--new", "renews", is_flag=True, help="Make a new key. Stop servers and workers first.")
@common
def command(renews: bool, data: Path | None, as_json: bool) -> None:
    """The name of the key of redaction, by which two hosts are compared; the key itself is never shown.

    With --new tokens before and after do not compare, and every other host needs a copy of the file.
    """
    config = load(data)
    place = config.data / KEY_FILE
    if renews:
        make_folder(config.data)
        database = Database.open(config.database_url)
        try:
            name = replace(database, config.data)
        finally:
            database.close()
        said = f"{place} is new: {name}. Copy it to every other host, then start servers and workers."
    else:
        with open_house(data) as house:
            name = name_of(redaction_key(house.config.data))
        said = f"{place} is {name}."
    emit({"file": str(place), "name": name, "new": renews}, said, as_json=as_json)
