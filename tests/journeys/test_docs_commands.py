"""What the documentation tells people to type: every command is there, and the first steps are run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from docs.write_reference import FOLDER, PAGES, page
from server.cli import COMMANDS, cli

REPOSITORY = Path(__file__).resolve().parents[2]
LIMITS = REPOSITORY / "docs" / "limits.md"
GUIDE = REPOSITORY / "docs" / "guides" / "first-light.md"
PROSE = [
    REPOSITORY / "README.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *sorted((REPOSITORY / "clients" / "assistants").rglob("*.md")),
]
LOG = (
    'Traceback (most recent call last):\n  File "/app/shop/rates.py", line 2, in quote\n'
    "    return order[\"carrier\"]\nKeyError: 'carrier'\n"
)


def absent_commands() -> set[str]:
    """The commands that limits.md says are not there yet."""
    table = LIMITS.read_text(encoding="utf-8").partition("## Commands")[2].partition("\n## ")[0]
    return {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(.+?)`", row)
    }


def typed(path: Path) -> list[list[str]]:
    """Every `nightdesk …` of a page, in shell blocks and in backticks, as words."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for language, block in blocks if language == "sh" for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    found = [re.search(r"(?:^|uv run |\$ |&& |-- )nightdesk ([a-z-]+\b.*)", line) for line in lines]
    return [shlex.split(match.group(1), comments=True) for match in found if match]


def check(words: list[str]) -> None:
    """Fail where the command line would not take these words. An ellipsis stands for whatever follows."""
    command: click.Command = cli
    context = click.Context(cli, info_name="nightdesk")
    rest = words
    while isinstance(command, click.Group):
        if not rest:
            return  # the name of a group, in a sentence
        inner = command.get_command(context, rest[0])
        assert inner is not None, f"no command {' '.join(words)!r}"
        context = click.Context(inner, parent=context, info_name=rest[0])
        command, rest = inner, rest[1:]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in rest if word.startswith("-") and word != "-"} <= known, words


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_every_command_that_a_page_mentions_is_one_that_the_command_line_takes(path: Path) -> None:
    for words in typed(path):
        if words[0] not in COMMANDS:
            assert words[0] in absent_commands(), f"{words} is neither there nor in limits.md"
        else:
            check(words)


def test_a_command_with_an_option_that_it_does_not_have_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        check(["show", "INC-1", "--colour"])
    with pytest.raises(AssertionError):
        check(["project", "rename"])


def test_what_limits_says_is_absent_is_absent_from_the_command_line() -> None:
    assert absent_commands().isdisjoint(COMMANDS)


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_says_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == page(name), (
        "run: uv run python docs/write_reference.py"
    )


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_every_link_and_every_test_that_a_page_names_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (path.parent / link).exists()]
    missing += [
        name
        for name in re.findall(r"`(?:uv run pytest )?(tests/[\w/.]+)`", text)
        if not (REPOSITORY / name).exists()
    ]
    assert missing == []


def test_the_first_steps_of_the_guide_do_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repositories, release, a log and the list, as typed; `~/src` and the log are made beforehand."""
    source = tmp_path / "src" / "shop" / "shop" / "rates.py"
    source.parent.mkdir(parents=True)
    source.write_text('def quote(order):\n    return order["carrier"]\n', encoding="utf-8")
    for name in ("shop", "shoplib"):
        make_repository(tmp_path / "src" / name)
    (tmp_path / "crash.log").write_text(LOG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    wanted = ("repo", "release", "ingest", "incidents", "show")
    steps = [words for words in typed(GUIDE) if words[0] in wanted and len(words) > (words[0] == "repo") * 2]
    said = {}
    for words in steps:
        done = CliRunner().invoke(cli, typed_here(words, tmp_path), catch_exceptions=False)
        assert done.exit_code == 0, (words, done.output)
        said[words[0]] = done.stdout
    assert list(said) == list(wanted)
    assert "KeyError: 'carrier'" in said["incidents"]
    assert "shop/rates.py:2 in quote" in said["show"]


def typed_here(words: list[str], folder: Path) -> list[str]:
    """The words as a shell in that folder would hand them over, with the data folder beside."""
    return [*(word.replace("~", str(folder), 1) for word in words), "--data", str(folder / "data")]


def make_repository(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        [*who, "commit", "-q", "--allow-empty", "-m", "First"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True, timeout=60)


def test_the_sample_for_assistants_keeps_the_users_folders_off_the_import_path() -> None:
    sample = json.loads((REPOSITORY / "mcp.json.example").read_text(encoding="utf-8"))
    server = sample["mcpServers"]["nightdesk"]
    check(server["args"])
    assert (server["command"], server["env"]) == ("nightdesk", {"PYTHONPATH": ""})
