"""The whole of it as an outsider meets it: a real crash read over stdio, a wrong and a right patch judged, a draft."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import TextContent

from fixloop.sandboxes import best
from tests.sandbox.histories import History, write
from tests.sandbox.test_causes import BASE, NAMES_BAD, ORDER, ORDERS

pytestmark = [pytest.mark.anyio, pytest.mark.sandbox, pytest.mark.slow]
PATIENCE = 600  # seconds; a dozen patches are judged in one session
SCRIPT = str(Path(sys.executable).with_name("nightdesk"))
EVENT = {
    "event_id": "ab" * 16, "platform": "python", "level": "error", "timestamp": "2024-06-10T10:00:00Z",
    "exception": {"values": [{
        "type": "AttributeError", "value": "'NoneType' object has no attribute 'upper'",
        "mechanism": {"type": "excepthook", "handled": False},
        "stacktrace": {"frames": [{
            "filename": "app/orders.py", "abs_path": "/srv/app/orders.py", "module": "app.orders", "function": "label",
            "lineno": 1 + [line.strip() for line in ORDERS.splitlines()].index(
                'return name.upper() + " / " + order["city"]'),
            "context_line": '    return name.upper() + " / " + order["city"]', "in_app": True,
            "vars": {"order": ORDER, "name": "None"},
        }]},
    }]},
}  # fmt: skip


def created(path: str, line: str, mode: str = "100644") -> str:
    """The diff of a file that is new."""
    return f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n"


DELETED = (
    "diff --git a/tests/test_a.py b/tests/test_a.py\ndeleted file mode 100644\n--- a/tests/test_a.py\n+++ /dev/null\n"
    "@@ -1 +0,0 @@\n-def test_a(): pass\n"
)
HIDING = """\
    try:
        return record.get("display_name") or record["name"]
    except Exception:
        return None"""
BAD = {
    "deletes a test": (DELETED, "no_code_change"),
    "skips a test": (created("tests/test_b.py", "pytestmark = pytest.mark.skip"), "no_code_change"),
    "skips where it is run": (created("app/skipping.py", "import pytest"), "detects_test"),
    "adds a dependency": (created("requirements.txt", "leftpad"), "protected_path"),
    "changes how it is built": (created("pyproject.toml", "[project]"), "touches_judge"),
    "touches CI": (created(".github/workflows/ci.yml", "on: push"), "protected_path"),
    "is binary": ("diff --git a/x.png b/x.png\nBinary files a/x.png and b/x.png differ\n", "binary"),
    "leaves the repository": (created("../outside.py", "x = 1"), "path_traversal"),
    "makes a link": (created("app/link", "/etc/passwd", "120000"), "symlink_or_submodule"),
    "makes a submodule": (created("lib", "Subproject commit 12ab", "160000"), "symlink_or_submodule"),
    "is written by a program": (created("app/made_pb2.py", "x = 1"), "generated_file"),
}  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def nightdesk(data: Path, *words: str, expect: int = 0) -> str:
    done = subprocess.run(
        [SCRIPT, *words, "--data", str(data)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == expect, done.stderr
    return done.stdout


def diff(old: str, new: str, path: str = "app/names.py") -> str:
    start = NAMES_BAD.splitlines().index(old) + 1
    return (
        f"--- a/{path}\n+++ b/{path}\n@@ -{start},1 +{start},{len(new.splitlines())} @@\n-{old}\n"
        + "".join(f"+{line}\n" for line in new.splitlines())
    )


@pytest.mark.heavy
async def test_an_outsiders_wrong_patch_fails_its_right_one_is_proven_and_the_policy_opens_the_draft(
    tmp_path: Path,
) -> None:
    if not best().self_test().ok:
        pytest.skip(best().self_test().said)
    origin, data = tmp_path / "origin", tmp_path / "data"
    write(
        origin,
        History("app", [("Start", "2024-01-01", BASE), ("Names", "2024-01-20", {"app/names.py": NAMES_BAD})]),
    )
    event = tmp_path / "event.json"
    event.write_text(json.dumps(EVENT))
    nightdesk(data, "repo", "add", "app", str(origin))
    nightdesk(data, "ingest", str(event))
    nightdesk(data, "reproduce", "INC-1")  # a test and no fix: that is the outsider's part

    bad, good = (
        '    return record.get("display_name")',
        '    return record.get("display_name") or record.get("name")',
    )
    async with outsider(data, tmp_path, drafts="ask") as client:
        listed = await client.call_tool("list_incidents", {})
        assert listed.structured_content is not None
        assert listed.structured_content["incidents"][0]["lane"] == "focus"
        text = await _text(client, "get_incident", ref="INC-1")
        for part in ("app/orders.py", "Test", "submit_patch"):
            assert part in text, part
        assert "def test_inc_1" in await _text(client, "get_reproducer", id="INC-1")

        misfit = json.loads(
            await _text(
                client, "submit_patch", id="INC-1", diff=diff(bad, "    pass").replace("display", "x")
            )
        )
        assert (misfit["verdict"], misfit["failing"]) == ("refused", "does_not_apply")
        wrong = json.loads(await _text(client, "submit_patch", id="INC-1", diff=diff(bad, '    return "x"')))
        assert wrong["verdict"] == "failed"
        assert "assert" in wrong["said"]
        for what, (patch, rule) in BAD.items():
            told = json.loads(await _text(client, "submit_patch", id="INC-1", diff=patch, repo="app"))
            assert (told["verdict"], told["failing"]) == ("refused", rule), what
        hides = json.loads(await _text(client, "submit_patch", id="INC-1", diff=diff(bad, HIDING)))
        assert (hides["verdict"], hides["failing"]) == ("refused", "swallows_errors")
        early = await client.call_tool("open_draft", {"id": "INC-1"})
        assert early.is_error

        right = json.loads(await _text(client, "submit_patch", id="INC-1", diff=diff(bad, good)))
        assert right["verdict"] == "proven"
        assert right["next"] == 'open_draft("INC-1")'
        assert "Proof" in await _text(client, "get_fix", id="INC-1")
        asked = json.loads(await _text(client, "open_draft", id="INC-1"))
        assert asked["opened"] == []
        assert asked["person_opens_it_at"].endswith("/incidents/INC-1")
    assert branches(origin) == ["main"]

    async with outsider(data, tmp_path, drafts="proven") as client:
        opened = json.loads(await _text(client, "open_draft", id="INC-1"))
        assert [draft["branch"] for draft in opened["opened"]] == ["nightdesk/INC-1"]
        assert "a person reviews the draft" in await _text(client, "get_incident", ref="INC-1")
    assert branches(origin) == ["main", "nightdesk/INC-1"]


@asynccontextmanager
async def outsider(data: Path, folder: Path, *, drafts: str) -> AsyncIterator[Client]:
    """A client over stdio, with no model behind it, where the policy of drafts is this one."""
    environment = {"PYTHONPATH": "", "NIGHTDESK_DRAFTS": drafts}
    parameters = StdioServerParameters(command=SCRIPT, args=["mcp", "--data", str(data)], env=environment)
    with anyio.fail_after(PATIENCE), (folder / "log").open("w") as log:
        async with Client(stdio_client(parameters, errlog=log)) as client:
            yield client


def branches(origin: Path) -> list[str]:
    listed = ["git", "-C", str(origin), "for-each-ref", "--format=%(refname:short)", "refs/heads"]
    return subprocess.run(listed, capture_output=True, text=True, timeout=60, check=True).stdout.split()


async def _text(client: Client, tool: str, **arguments: Any) -> str:
    answer = await client.call_tool(tool, arguments)
    assert isinstance(answer.content[0], TextContent)
    assert not answer.is_error, answer.content[0].text
    return answer.content[0].text
