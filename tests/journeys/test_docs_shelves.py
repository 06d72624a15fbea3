"""The shelves of the documentation: every page stands on one, every heading that a link names is there, figures and
settings that a page names exist, and the pipelines do what they say."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from server.config import SETTINGS, load
from server.knowing.repository_part import RepositoryPart, parse
from server.metrics import metrics_text
from server.operating.product import Share, Stage, product, product_text
from store.figures import Figures
from store.incident import Lane
from store.tracks import Tracks
from tests.journeys.test_docs_commands import check
from tests.unit.test_product import aside, repaired

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md")])
PIPELINES = sorted((REPOSITORY / "clients" / "ci").rglob("*.yml"))


def named(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def links(path: Path) -> list[str]:
    return [
        link for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")) if "://" not in link
    ]


def headings(path: Path) -> set[str]:
    """The anchors of a page, as forges make them of its headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_stands_on_a_shelf() -> None:
    index = DOCS / "README.md"
    shelved = {(DOCS / link.partition("#")[0]).resolve() for link in links(index)}
    decisions = {
        path for path in DOCS.rglob("*.md") if path.parent.name == "decisions" and path.name != "README.md"
    }
    missing = set(DOCS.rglob("*.md")) - shelved - decisions - {index}
    assert {named(path) for path in missing} == set()
    assert re.findall(r"^## (.+)$", index.read_text(encoding="utf-8"), re.MULTILINE) == [
        "Start", "Guides", "Concepts", "Reference",
    ]  # fmt: skip


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_heading_that_a_link_names_is_there(path: Path) -> None:
    missing = []
    for link in links(path):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in headings(target)):
            missing.append(link)
    assert missing == []


def test_every_figure_is_explained_and_every_explained_figure_exists() -> None:
    page = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    full = product(
        Tracks((repaired(1, merged=400, usd=0.5), repaired(2), aside(3), aside(4, back=True)), 1, 1)
    )
    assert all(isinstance(stage, Stage) for stage in full.stages)
    assert isinstance(full.set_aside, Share)
    text = product_text(full) + metrics_text(Figures(1, dict.fromkeys(Lane, 1), {}, {}))
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert set(re.findall(r"^\| `(nightdesk_\w+)`", page, re.MULTILINE)) == told


def test_the_settings_of_the_guides_are_settings_that_load(tmp_path: Path) -> None:
    tried = 0
    for path in sorted((DOCS / "guides").glob("*.md")):
        for block in re.findall(
            r"^```toml\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            if "[mcp_servers" in block:  # an assistant's settings
                continue
            if tomllib.loads(block).keys() <= RepositoryPart.model_fields.keys():  # a repository's own
                assert parse(block).model_fields_set
                continue
            (tmp_path / "nightdesk.toml").write_text(block, encoding="utf-8")
            config = load(tmp_path, {})
            tried += sum(config.source(name) == "nightdesk.toml" for name in SETTINGS)
    assert tried >= 4


def scripts(path: Path) -> list[str]:
    """Every script of a pipeline."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if "jobs" in found:
        return [step["run"] for job in found["jobs"].values() for step in job["steps"] if "run" in step]
    return ["\n".join(job["script"]) for job in found.values()]


@pytest.mark.parametrize("path", PIPELINES, ids=named)
def test_a_pipeline_is_sound_and_its_commands_are_ones_that_we_take(path: Path) -> None:
    words = 0
    for script in scripts(path):
        done = subprocess.run(
            ["bash", "-n"], input=script.encode(), capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        for line in re.findall(r"(?:^|&& |\s)nightdesk ((?!$)[a-z][^\n|&;]*)", script.replace("\\\n", " ")):
            said = [word.strip("\"'") for word in line.partition(" #")[0].split()]
            if "install" not in script.partition(line)[0].rpartition("\n")[2]:
                check(said)
                words += 1
    assert words >= 1


@pytest.mark.parametrize("path", [path for path in PIPELINES if "github" in path.parts], ids=named)
def test_no_script_of_a_pipeline_is_made_of_what_a_payload_says(path: Path) -> None:
    for script in scripts(path):
        assert "${{" not in script
    permissions = yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"]
    assert set(permissions) == {"contents"}
