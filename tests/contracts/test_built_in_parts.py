"""The built-in parts, held to the suites that authors of plug-ins get."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from fixloop import Forge, Sandbox
from fixloop.fixers import FixCase, Fixer
from server.plugins import PROTOCOLS, missing
from store.repair import DraftPullRequest
from tests.contracts.nightdesk_contracts.classifiers import ClassifierContract
from tests.contracts.nightdesk_contracts.fixers import FixerContract
from tests.contracts.nightdesk_contracts.forges import ForgeContract
from tests.contracts.nightdesk_contracts.formats import FormatContract
from tests.contracts.nightdesk_contracts.languages import LanguageContract
from tests.contracts.nightdesk_contracts.sandboxes import SandboxContract
from tests.forges.fake import Fake, FakeGitHub, FakeGitLab, serving
from tests.sandbox.histories import History, write
from tests.sandbox.test_fixers import BASKET, fix_case
from triage import Classifier, Format, Language

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
SAMPLES = {
    "sentry": (CORPUS / "events" / "flask-type-error.json").read_bytes(),
    "json": b'{"traceback": "Traceback (most recent call last):\\n  File \\"a.py\\", line 1, in f\\n    x\\nKeyError: 1"}',
    "traceback": (CORPUS / "traces" / "python-main.txt").read_bytes(),
}
LANGUAGES = {
    "python": (
        'Traceback (most recent call last):\n  File "/app/cart.py", line 3, in price\n    return 1 / n\n'
        "ZeroDivisionError: division by zero",
        "ZeroDivisionError",
        "def price(n):\n    return 1 / n\n",
        2,
    )
}


def every(group: str) -> list[object]:
    """The built-in parts of a group, as they are registered: their names are the ids."""
    own = [
        point
        for point in entry_points(group=f"nightdesk.{group}")
        if point.dist and point.dist.name == "nightdesk"
    ]
    return [pytest.param(point.load(), id=point.name) for point in own]


@pytest.mark.parametrize("group", PROTOCOLS)
def test_each_group_has_built_in_parts_that_have_all_of_the_protocol(group: str) -> None:
    for parameter in every(group):
        kind = parameter.values[0]  # type: ignore[attr-defined]
        assert missing(kind if group == "forges" else kind(), PROTOCOLS[group]) == []
    assert every(group)


@pytest.mark.parametrize("kind", every("formats"))
class TestFormats(FormatContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Format]) -> Format:
        return kind()

    @pytest.fixture
    def sample(self, part: Format) -> bytes:
        return SAMPLES[part.name]


@pytest.mark.parametrize("kind", every("languages"))
class TestLanguages(LanguageContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Language]) -> Language:
        return kind()

    @pytest.fixture
    def trace(self, part: Language) -> str:
        return LANGUAGES[part.name][0]

    @pytest.fixture
    def raised(self, part: Language) -> str:
        return LANGUAGES[part.name][1]

    @pytest.fixture
    def source(self, part: Language) -> str:
        return LANGUAGES[part.name][2]

    @pytest.fixture
    def inside(self, part: Language) -> int:
        return LANGUAGES[part.name][3]


@pytest.mark.parametrize("kind", every("classifiers"))
class TestClassifiers(ClassifierContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Classifier]) -> Classifier:
        return kind()


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", every("sandboxes"))
class TestSandboxes(SandboxContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Sandbox]) -> Sandbox:
        made = kind()
        tested = made.self_test()
        if not tested.ok:
            pytest.skip(tested.said)
        return made


@pytest.mark.sandbox
@pytest.mark.slow
@pytest.mark.parametrize("kind", every("fixers"))
class TestFixers(FixerContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Fixer]) -> Fixer:
        return kind()

    @pytest.fixture
    def case(self, tmp_path: Path) -> FixCase:
        before = BASKET.replace('return line["qty"]\n', 'return line.get("qty", 1)\n')
        return fix_case(tmp_path, BASKET, before, "app/basket.py",
                        "KeyError", "'qty'", "pieces", 'return line["qty"]', {"line": {"grams": "5"}})  # fmt: skip


@pytest.mark.parametrize("kind", every("forges"))
class TestForges(ForgeContract):
    @pytest.fixture
    def origin(self, tmp_path: Path) -> Path:
        files = {"app.py": "answer = 41\n", "run.sh": "#!/bin/sh\n", "old.py": "x = 1\n"}
        write(tmp_path / "origin", History("app", [("Start", "2024-01-01", files)]))
        return tmp_path / "origin"

    @pytest.fixture
    def address(self, kind: type[Forge], origin: Path) -> str:
        known = {"github": "git@github.com:team/shop.git", "gitlab": "https://gitlab.com/team/sub/shop"}
        return known.get(kind.name, str(origin))

    @pytest.fixture
    def part(
        self, kind: Callable[[str], Forge], origin: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Forge]:
        fakes: dict[str, type[Fake]] = {"github": FakeGitHub, "gitlab": FakeGitLab}
        if kind.name not in fakes:  # type: ignore[attr-defined]
            yield kind(str(origin))
            return
        for name in ("GITHUB", "GITLAB"):
            monkeypatch.setenv(f"NIGHTDESK_{name}_TOKEN", Fake.TOKEN)
        with serving(fakes[kind.name](origin / ".git")) as fake:  # type: ignore[attr-defined]
            yield kind(f"{fake.address}/team/shop.git")
            assert fake.unknown == []
            assert all(pull["draft"] for pull in fake.pulls)

    @pytest.fixture
    def draft(self, origin: Path, part: Forge) -> DraftPullRequest:
        return DraftPullRequest(
            forge=part.name, repo="app", branch="nightdesk/INC-1", base=head(origin), title="Fix the answer",
            body="It was one too small.", state="proposed",
        )  # fmt: skip

    @pytest.fixture
    def branches(self, origin: Path) -> Callable[[], dict[str, tuple[str, dict[str, str]]]]:
        def now() -> dict[str, tuple[str, dict[str, str]]]:
            names = said(origin, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
            return {name: (said(origin, "rev-parse", name), files(origin, name)) for name in names}

        return now


def said(origin: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(origin), *words], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def head(origin: Path) -> str:
    return said(origin, "rev-parse", "main")


def files(origin: Path, name: str) -> dict[str, str]:
    paths = said(origin, "ls-tree", "-r", "--name-only", name).split()
    return {path: said(origin, "show", f"{name}:{path}") for path in paths}
