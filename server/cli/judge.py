"""`nightdesk judge`: a patch from anywhere, judged in the sandbox."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from server.cli.output import NO, common, emit, open_house
from server.cli.repairing import printer, validation_lines
from server.cli.states import who
from server.work.foreground import judge_here
from store.errors import BadPayload, OverLimit
from store.repair import ValidationVerdict

MOST = 2_000_000  # bytes


@click.command()
@click.argument("incident", metavar="INC-n")
@click.argument("patch", metavar="PATCH|-")
@click.option("--repo", help="The repository that the patch is for, where its paths leave a doubt.")
@common
def command(incident: str, patch: str, repo: str | None, data: Path | None, as_json: bool) -> None:
    """The verdict on a patch; nothing else is changed. Exit 3 where it is not proven."""
    diff = _read(patch)
    with open_house(data) as house:
        submission = judge_here(house, incident, diff, repo, who(), printer(as_json))
    validation = submission.validation
    if validation is None:
        raise BadPayload(submission.said)
    emit(validation, validation_lines(validation), as_json=as_json)
    if validation.verdict != ValidationVerdict.PROVEN:
        raise SystemExit(NO)


def _read(patch: str) -> str:
    try:
        content = sys.stdin.buffer.read(MOST + 1) if patch == "-" else Path(patch).read_bytes()
    except OSError as problem:
        raise BadPayload(f"The patch {patch} cannot be read: {problem.strerror}.") from problem
    if len(content) > MOST:
        raise OverLimit(f"The patch is larger than {MOST:,} bytes.")
    return content.decode("utf-8", "surrogateescape")
