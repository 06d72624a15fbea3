"""The command line: one module a command, imported when it is called, so that `--help` stays instant.

To add a command, write `server/cli/NAME.py` with a click command called `command` and give it a line in
COMMANDS. This module imports click and nothing else that is slow; what a command needs is its own business.
"""

from __future__ import annotations

from importlib import import_module

import click

from store.errors import NightdeskError

COMMANDS = {
    "demo": "A real crash of a small application, through every room, to a draft with its proof.",
    "serve": "Web page and ingest in one process.",
    "worker": "Background work only.",
    "mcp": "Answer a coding assistant over standard input and output.",
    "ingest": "Take events from files or standard input.",
    "incidents": "The list, most urgent first.",
    "show": "Everything known of one incident.",
    "events": "Ids, times and releases of every event kept.",
    "triage": "Run triage again and say what changed.",
    "calibrate": "Learn from what was said of incidents; shows first what would flip.",
    "audit": "A sample of what was set aside, for a look.",
    "repair": "Reproduce, find the cause, fix, judge.",
    "pause": "Hold all repairs back.",
    "resume": "Let repairs go on.",
    "reproduce": "The failing test of an incident.",
    "minimize": "A failing test that exists, with less in it.",
    "flake-scan": "Run a test that exists many times: always, sometimes, never.",
    "causes": "The changes that may have caused an incident.",
    "transcript": "What was asked of a model, byte for byte, and what it said.",
    "judge": "The verdict on a patch from anywhere.",
    "draft": "Open the draft of a proven fix, or show it.",
    "fetch": "One incident from another Nightdesk, for a pipeline.",
    "gate": "Whether the tests of incidents let a change be merged.",
    "proof": "Proofs of fixes: verify one again.",
    "project": "Projects: add, list.",
    "key": "Keys that senders use: add, rotate, revoke.",
    "token": "Tokens for scripts and assistants: create, list, revoke.",
    "user": "People: add, list, remove, link, password.",
    "grants": "What assistants were let do: list, revoke.",
    "repo": "Git repositories: add, list, sync.",
    "release": "What runs where since when: add, list.",
    "sourcemap": "What bundled JavaScript was built from: add, list.",
    "flag": "Feature flags and settings that changed: set, list.",
    "resolve": "Say that an incident is fixed.",
    "mute": "Keep an incident quiet.",
    "reopen": "Take an incident up again.",
    "noise": "Say that an incident is noise.",
    "not-noise": "Say that an incident matters.",
    "confirm": "A person's word on what an assistant said.",
    "assign": "Name an incident's owner.",
    "merge": "Say that two incidents are one.",
    "split": "Say that an incident is several.",
    "undo": "Take back the last act, or the one of a number.",
    "eval": "Measure the product on labelled data.",
    "export": "Everything of a project, or of all, as one file.",
    "import": "Take in an export.",
    "backup": "All that is kept, as one file, while in use.",
    "restore": "A data folder from a backup.",
    "purge": "Old events, or those of one person, go for good.",
    "migrate": "The database forward.",
    "redaction-key": "Which key of redaction is in force, or a new one.",
    "notify": "Who is told, and what has reached them: test, list.",
    "metrics": "The product's own figures.",
    "doctor": "Every part with its state and the fix in words.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; their one-line help stands in COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found = import_module(f"server.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(found, click.Command)  # noqa: S101 - a contract between our own modules
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. An error of the house is one sentence on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except NightdeskError as error:
            click.echo(f"nightdesk: {error}", err=True)
            ctx.exit(1)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="nightdesk")
def cli() -> None:
    """The night shift for production errors. Options stand after the command.

    Exit codes: 0 done, 1 it failed (one sentence says why), 2 wrong use, 3 "no" as a result.
    """


def main() -> None:
    """Run the command line and leave with its exit code."""
    cli(prog_name="nightdesk")
