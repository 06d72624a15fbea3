"""Wrong input for every command: the promised exit code and one sentence, never a traceback, nothing changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from server.cli import COMMANDS, cli
from server.config import load
from server.house import House
from tests.journeys import mcp_samples as samples

FAILED, WRONG_USE = 1, 2
MISSING = "INC-99"

# The command's words, its exit code, and a part of the sentence that is said.
BAD: tuple[tuple[str, int, str], ...] = (
    ("serve --host 203.0.113.7 --port 0", FAILED, "Cannot listen"),
    ("serve --port 99999", WRONG_USE, "--port"),
    ("mcp --nonsense", WRONG_USE, "--nonsense"),
    ("demo --nonsense", WRONG_USE, "--nonsense"),
    ("ingest no-such-file", FAILED, "no-such-file"),
    ("ingest - --project nowhere", FAILED, "nowhere"),
    ("ingest - --format runes", WRONG_USE, "runes"),
    ("incidents --project nowhere", FAILED, "nowhere"),
    ("incidents --since soonish", FAILED, "not a time"),
    ("incidents --lane urgent", WRONG_USE, "urgent"),
    (f"show {MISSING}", FAILED, MISSING),
    ("show", WRONG_USE, "INC-n"),
    ("show INC-1 --section nonsense", FAILED, "no section"),
    (f"events {MISSING}", FAILED, MISSING),
    ("events --id abc", FAILED, "abc"),
    (f"triage {MISSING}", FAILED, MISSING),
    (f"repair {MISSING}", FAILED, MISSING),
    ("repair INC-1", FAILED, "repo add"),
    (f"reproduce {MISSING}", FAILED, MISSING),
    (f"causes {MISSING}", FAILED, MISSING),
    ("causes INC-1 --prove", FAILED, "repo add"),
    ("judge INC-1 no-such-patch", FAILED, "no-such-patch"),
    (f"judge {MISSING} -", FAILED, MISSING),
    (f"transcript {MISSING}", FAILED, MISSING),
    ("transcript INC-1 --sent", WRONG_USE, "--exchange"),
    ("transcript INC-1 --exchange 0", WRONG_USE, "--exchange"),
    ("transcript INC-1 --exchange 7", FAILED, "no exchange 7"),
    ("draft INC-1", FAILED, "no proven fix"),
    (f"draft {MISSING}", FAILED, MISSING),
    ("proof verify INC-1", FAILED, "no proven fix"),
    ("proof verify no-such-file", FAILED, "no-such-file"),
    ("proof verify INC-1 --repo shop", WRONG_USE, "NAME=PATH"),
    ("project add 7", FAILED, "cannot be a project's name"),
    ("key add nowhere", FAILED, "nowhere"),
    ("key revoke abc", FAILED, "No key"),
    ("repo add shop no-such-folder", FAILED, "no-such-folder"),
    ("repo add .. .", FAILED, "name is letters"),
    ("repo sync nowhere", FAILED, "nowhere"),
    ("repo list --project nowhere", FAILED, "nowhere"),
    ("release add 1.0 --repo shop=abc", FAILED, "shop"),
    ("release add 1.0 --repo shop", WRONG_USE, "NAME=SHA"),
    ("release add 1.0 --at soonish", FAILED, "not a time"),
    ("release list --project nowhere", FAILED, "nowhere"),
    ("sourcemap add no-such-file.map", FAILED, "no-such-file.map"),
    ("sourcemap add nightdesk.toml", FAILED, "not a source map"),
    ("sourcemap add --release 1.0", WRONG_USE, "FILE"),
    ("sourcemap list --project nowhere", FAILED, "nowhere"),
    ("flag set dark on --at soonish", FAILED, "not a time"),
    ("flag set dark on --project nowhere", FAILED, "nowhere"),
    ("flag set dark", WRONG_USE, "VALUE"),
    ("flag list --since soonish", FAILED, "not a time"),
    ("flag list --project nowhere", FAILED, "nowhere"),
    *((f"{word} {MISSING}", FAILED, MISSING) for word in ("resolve", "mute", "reopen", "noise", "not-noise")),
    (f"assign {MISSING} ann", FAILED, MISSING),
    ("assign INC-1", WRONG_USE, "OWNER"),
    ("merge INC-1 INC-1", FAILED, "one incident already"),
    (f"merge INC-1 {MISSING}", FAILED, MISSING),
    ("merge INC-1", WRONG_USE, "INC-b"),
    (f"split {MISSING} --by release", FAILED, MISSING),
    ("split INC-1 --by colour", WRONG_USE, "colour"),
    ("split INC-1", WRONG_USE, "--by"),
    ("undo", FAILED, "nothing to undo"),
    ("undo --act 99", FAILED, "no act 99"),
    ("undo --act x", WRONG_USE, "--act"),
    ("eval crashes no-such-folder", WRONG_USE, "no-such-folder"),
    ("export no/such/folder/file.tar", FAILED, "cannot be written"),
    ("export file.tar --project nowhere", FAILED, "nowhere"),
    ("import no-such-file", FAILED, "no-such-file"),
    ("import nightdesk.toml", FAILED, "not an export"),
    ("backup no/such/folder/file.tar", FAILED, "cannot be written"),
    ("restore no-such-file.tar", FAILED, "already"),
    ("purge", WRONG_USE, "Say what is to go"),
    ("purge --older-than soon", WRONG_USE, "no age"),
    ("purge --older-than 90d --user 1", WRONG_USE, "Say what is to go"),
    (f"confirm {MISSING}", FAILED, MISSING),
    ("calibrate --project nowhere", FAILED, "nowhere"),
    ("audit --project nowhere", FAILED, "nowhere"),
    ("audit --count 0", WRONG_USE, "--count"),
    ("minimize", WRONG_USE, "FILE::NAME"),
    ("minimize no-such-file", FAILED, "Name one test"),
    ("flake-scan no-such-file::test_x", FAILED, "cannot be read"),
    ("flake-scan x --runs 0", WRONG_USE, "--runs"),
    ("eval noise no-such-file", WRONG_USE, "no-such-file"),
    ("eval grouping no-such-file", WRONG_USE, "no-such-file"),
    ("eval traces no-such-folder", WRONG_USE, "no-such-folder"),
    ("gate --results no-such-file", FAILED, "git"),
    ("gate", WRONG_USE, "--results"),
    ("notify test", FAILED, "Nobody is told"),
    ("notify list --limit 0", WRONG_USE, "--limit"),
    ("fetch INC-1 --from http://127.0.0.1:9", FAILED, "NIGHTDESK_TOKEN"),
    ("fetch INC-1", WRONG_USE, "--from"),
    ("draft INC-1 --test-only", FAILED, "no failing test"),
    ("draft INC-1 --answer", FAILED, "no draft of a fix"),
    ("draft INC-1 --answer --yes", WRONG_USE, "--answer goes with neither"),
    (f"draft {MISSING} --test-only --yes", FAILED, MISSING),
    ("release served 1.0", WRONG_USE, "--count"),
    ("release served 1.0 --count 5 --project nowhere", FAILED, "nowhere"),
    ("migrate --nonsense", WRONG_USE, "--nonsense"),
    ("redaction-key --nonsense", WRONG_USE, "--nonsense"),
    ("redaction-key extra", WRONG_USE, "extra"),
    ("doctor --nonsense", WRONG_USE, "--nonsense"),
)


def nightdesk(*args: str, stdin: str = "") -> Result:
    unset = {name: None for name in os.environ if name.startswith("NIGHTDESK_")}
    return CliRunner().invoke(cli, args, input=stdin, env=unset, catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a data folder that has one incident and no repository."""
    made = tmp_path_factory.mktemp("bad")
    with House.open(load(made / "data", {})) as house:
        house.receive([samples.event(1)])
    (made / "nightdesk.toml").write_text("port = 1\n")
    return made


def told(folder: Path) -> str:
    """What the incidents, acts and projects are, in short."""
    shown = [nightdesk(*words, "--json", "--data", str(folder / "data")).stdout for words in (
        ("incidents",), ("project", "list"), ("repo", "list"), ("release", "list"), ("undo", "--list"),
    )]  # fmt: skip
    return hashlib.sha256("\0".join(shown).encode()).hexdigest()


@pytest.mark.parametrize(("line", "code", "said"), BAD, ids=[line for line, _, _ in BAD])
def test_wrong_input_has_its_exit_code_and_one_sentence_and_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, code: int, said: str
) -> None:
    monkeypatch.chdir(folder)
    before = told(folder)
    words = line.split(" ")
    own = () if words[0] in ("eval", "demo", "gate") else ("--data", str(folder / "data"))

    done = nightdesk(*words, *own)

    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""
    if code == FAILED:
        assert done.stderr.startswith("nightdesk: ")
        assert done.stderr.count("\n") == 1
        assert done.stderr.rstrip().endswith((".", "`", "?", ")", "list"))
    assert told(folder) == before


def test_every_command_has_its_wrong_input_here() -> None:
    tried = {line.split(" ")[0] for line, _, _ in BAD}
    # Those of two other rooms come with their own tests.
    elsewhere = {"worker", "pause", "resume", "token", "grants", "user", "login", "metrics"}
    assert set(COMMANDS) - elsewhere <= tried
    context = click.Context(cli)
    groups = {
        name: found for name in COMMANDS if isinstance(found := cli.get_command(context, name), click.Group)
    }
    for name in groups:
        assert nightdesk(name, "no-such-word").exit_code == WRONG_USE


@pytest.mark.parametrize("data", ["nightdesk.toml", "/proc/nightdesk"])
def test_a_data_folder_that_cannot_be_is_one_sentence_or_wrong_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    monkeypatch.chdir(folder)
    for line in ("incidents", "undo", "export x.tar", "migrate"):
        done = nightdesk(*line.split(" "), "--data", data)
        assert done.exit_code == (FAILED if data.startswith("/") else WRONG_USE)
        assert "Traceback" not in done.output
        assert done.exit_code == WRONG_USE or done.stderr.count("\n") == 1
