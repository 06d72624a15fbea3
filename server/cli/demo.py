"""`nightdesk demo`: a real crash of a small application, through every room, to a draft with its proof."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from server.demo.desk import Desk
from server.demo.running import DemoStopped
from server.demo.story import Told, tell
from server.demo.telling import ending, step

_NOT_PROVEN = 3  # the exit code for "no" as a result
_PAGE = "http://127.0.0.1:8731"  # where `serve` listens unless it is told otherwise


@click.command()
@click.option("--keep", is_flag=True, help="Keep the folder: every other command works on it.")
@click.option("--open", "open_page", is_flag=True, help="Open the page at the end, until interrupted.")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Use this data folder, and keep it."
)
@click.option("--seed", type=int, default=None, help="Which application is made.  [default: the next one]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON at the end, and nothing before.")
def command(keep: bool, open_page: bool, data: Path | None, seed: int | None, as_json: bool) -> None:
    """Make a small application, let it crash, and see what Nightdesk makes of it. Exit code 3: not proven."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        with _folder(data, keep=keep) as folder:
            kept = keep or data is not None
            told = _run(folder, seed, kept=kept, open_page=open_page, as_json=as_json)
    except (DemoStopped, OSError, subprocess.SubprocessError) as stopped:
        raise click.ClickException(str(stopped)) from stopped
    if not told.proven:
        sys.exit(_NOT_PROVEN)


def _run(folder: Path, seed: int | None, *, kept: bool, open_page: bool, as_json: bool) -> Told:
    def say(name: str, said: str) -> None:
        if not as_json:
            click.echo(step(name, said))

    made = folder / "demo"
    made.mkdir(exist_ok=True)
    with Desk(folder, made) as desk:
        say("serving", f"Nightdesk listens on {desk.address}")
        told = tell(desk, made, seed, say)
        click.echo(_json(told, folder) if as_json else "\n" + ending(told, folder, _PAGE, kept=kept))
        if open_page:
            page = f"{desk.address}/incidents/{told.incident['id']}"
            click.echo(f"\n{page} is open until you press Ctrl-C.", err=as_json)
            webbrowser.open(page)
            _until_interrupted(desk)
    return told


def _until_interrupted(desk: Desk) -> None:
    try:
        desk.serve_until_interrupted()
    except KeyboardInterrupt:
        click.echo("")


def _json(told: Told, folder: Path) -> str:
    world = told.world
    values = {
        "data": str(folder),
        "seconds": told.seconds,
        "proven": told.proven,
        "world": {
            "service": world.plan.service,
            "library": world.plan.library,
            "culprit": {"repo": world.plan.library, "commit": world.culprit, "path": world.plan.reader_path},
        },
        "noise": told.noise,
        "focus": told.focus,
        "incident": told.incident,
        "no_sandbox": told.no_sandbox,
        "ranked": told.ranked,
    }
    return json.dumps(values, indent=2, ensure_ascii=False)


@contextmanager
def _folder(data: Path | None, *, keep: bool) -> Iterator[Path]:
    """The data folder: the one that is named, a new one that stays, or one that goes with the demo."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield data.resolve()
    elif keep:
        yield Path(tempfile.mkdtemp(prefix="nightdesk-demo-")).resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="nightdesk-demo-", ignore_cleanup_errors=True) as folder:
            yield Path(folder).resolve()


def _leave(number: int, frame: object) -> None:
    """Asked to end: leave through the blocks that end the children and take the folder away."""
    sys.exit(128 + number)
