"""Write the reference pages from the code: `uv run python docs/write_reference.py`.

The text of a page is written by hand up to its mark; what stands below the mark comes from here. A test
compares the pages with the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from server.cli import COMMANDS, cli
from server.config import SETTINGS, Config
from server.knowing.repository_part import RepositoryPart

FOLDER = Path(__file__).resolve().parent / "reference"
MARK = "<!-- Below this line: written by docs/write_reference.py from the code. -->\n"


def commands() -> str:
    """Every command with its arguments and options."""
    context = click.Context(cli, info_name="nightdesk")
    parts = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name
        parts.append("\n".join(_command(command, f"nightdesk {name}", context)))
    return "\n".join(parts)


def settings() -> str:
    """Every setting of an installation and of a repository."""
    own = [name for name in Config.model_fields if name in SETTINGS]
    return "\n".join(
        [
            *_fields("## An installation: `nightdesk.toml`", Config, own),
            *_fields("## A repository: `.nightdesk.toml`", RepositoryPart, list(RepositoryPart.model_fields)),
        ]
    )


PAGES = {"cli.md": commands, "settings.md": settings}


def page(name: str) -> str:
    """A whole page: what is written by hand, and what comes from the code."""
    head, mark, _ = (FOLDER / name).read_text(encoding="utf-8").partition(MARK)
    assert mark, f"{name} has lost its mark"
    return f"{head}{MARK}\n{PAGES[name]()}"


def _command(command: click.Command, path: str, parent: click.Context) -> Iterator[str]:
    """One command as Markdown; a group's commands follow it."""
    context = click.Context(command, parent=parent, info_name=path.rpartition(" ")[2])
    if isinstance(command, click.Group):
        yield f"## `{path}`\n\n{command.help}\n"
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            yield from _command(inner, f"{path} {name}", context)
        return
    arguments = [p.make_metavar(context) for p in command.params if isinstance(p, click.Argument)]
    level = "##" if path.count(" ") == 1 else "###"
    yield f"{level} `{' '.join([path, *arguments])}`\n\n{' '.join((command.help or '').split())}\n"
    options = [p for p in command.params if isinstance(p, click.Option)]
    if options:
        yield "| option | does |\n|---|---|"
        yield from (f"| `{_spelling(option)}` | {_does(option)} |" for option in options)
        yield ""


def _spelling(option: click.Option) -> str:
    names = ", ".join(option.opts)
    if option.is_flag:
        return names
    kind = option.type
    values = "\\|".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else option.metavar
    return f"{names} {values or kind.name.split(' ')[0].upper()}"


def _does(option: click.Option) -> str:
    said = option.help or ""
    if option.show_default and isinstance(option.default, str | int | float):
        said += f" Default: `{option.default}`."
    return said.replace("|", "\\|")


def _fields(head: str, model: type[BaseModel], names: list[str]) -> Iterator[str]:
    yield f"{head}\n\n| key | kind | default | what it is |\n|---|---|---|---|"
    for name in names:
        field = model.model_fields[name]
        said = (field.description or "").replace("|", "\\|")
        yield f"| `{name}` | {_kind(field)} | {_default(field)} | {said} |"
    yield ""


def _kind(field: FieldInfo) -> str:
    text = (
        getattr(field.annotation, "__name__", "")
        if isinstance(field.annotation, type)
        else str(field.annotation)
    )
    words = {
        "bool": "true or false",
        "str": "text",
        "int": "number",
        "float": "number",
        "dict": "table",
        "tuple": "list of text",
    }
    if "Literal" in text:
        return "one of " + ", ".join(f"`{word}`" for word in _choices(field.annotation))
    return words[text.partition("[")[0].partition(" ")[0]]


def _choices(annotation: Any) -> list[str]:
    """The words of a `Literal[…]`, or of a union that holds one."""
    found: list[str] = []
    for part in getattr(annotation, "__args__", ()):
        found += [part] if isinstance(part, str) else _choices(part)
    return found


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return "" if default in (None, "", (), {}) else f"`{default}`"


def main() -> None:
    """Write both pages."""
    for name in PAGES:
        (FOLDER / name).write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
