"""Another version of a dependency as the fix: judged in two environments, proposed to a person, run again from a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fixloop.fixers import FixCase
from fixloop.fixers.upstream import UpstreamFixer
from fixloop.judging import applied, upgrade
from fixloop.judging.constraints import Refusal
from fixloop.running.installer import Installer
from server.config import load
from server.drafts.approvals import decide, open_drafts
from server.house import House
from server.repairs import proofs, repairing
from store import journal, queries
from store.errors import NotAllowed
from store.event import Event, Frame
from store.project import RepositoryConfig
from store.repair import Attempt, ChangeVerdict, Ended, Oracle, ValidationVerdict
from tests.sandbox.histories import Commit, History, crash, frame, run_loop, write
from tests.sandbox.shop import git
from tests.sandbox.test_fixers import Onlooker
from tests.sandbox.wheels import hashing_index, only_index, wheel

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

APP = '''"""What each guest pays."""

import tallybook


def bill(total, guests):
    share = tallybook.split(total, len(guests))
    return {name: share for name in guests}
'''
TESTS = """from app.bills import bill


def test_a_bill_is_split():
    assert bill(10, ["ann", "bob"]) == {"ann": 5, "bob": 5}
"""
LIBRARY = '''"""Splitting."""


def split(total, parts):
    return total // parts
'''
MENDED = LIBRARY.replace("return total // parts", "return total // parts if parts else 0")
OTHERWISE = LIBRARY.replace("return total // parts", "return total / parts if parts else None")
STILL = LIBRARY.replace("total // parts", "int(total / parts)")


def library(folder: Path, version: str, text: str, requires: tuple[str, ...] = ()) -> None:
    wheel(folder, "tallybook", version, {"tallybook/__init__.py": text}, requires)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    library(folder, "1.0", LIBRARY)
    only_index(monkeypatch, folder)
    return folder


def event() -> Event:
    """A bill without guests, as production reported it: the division is inside the library."""
    lib = "/usr/local/lib/python3.11/site-packages/tallybook/__init__.py"
    return crash(
        "ZeroDivisionError", "integer division or modulo by zero",
        frame(APP, "app/bills.py", "bill", "share = tallybook.split(total, len(guests))", total=12, guests=[]),
        Frame(function="split", module="tallybook", filename="tallybook/__init__.py", abs_path=lib, lineno=5,
              context_line="    return total // parts", vars={"total": "12", "parts": "0"}),
    ).model_copy(update={"project": "default"})  # fmt: skip


def repaired(folder: Path, commits: list[Commit]) -> tuple[House, Attempt]:
    write(folder / "origin", History("bills", commits))
    house = House.open(load(folder / "data", {"NIGHTDESK_RUNS": "10"})).__enter__()
    if not house.sandbox.self_test().ok:
        pytest.skip(house.sandbox.self_test().said)
    house.mirrors.add("bills", str(folder / "origin"))
    row = RepositoryConfig(
        name="bills", project="default", url=str(folder / "origin"),
        config={"env": {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}},
    )  # fmt: skip
    journal.add_repository(house.database, row)
    house.receive([event()])
    return house, repairing.repair(house, "INC-1")


BUMP: Commit = ("Bump tallybook", "2024-03-01", {"requirements.txt": "tallybook==1.0\n"})


def first(pins: str) -> list[Commit]:
    return [
        ("Bills", "2024-01-01", {"app/__init__.py": "", "app/bills.py": APP, "tests/test_bills.py": TESTS,
                                 "requirements.txt": pins}),
    ]  # fmt: skip


def upgrade_case(folder: Path, patch: pytest.MonkeyPatch) -> FixCase:
    """What a fixer is shown of a crash in a library that there is a newer version of."""
    for version, text in (("1.0", LIBRARY), ("1.1", MENDED)):
        library(folder / "wheels", version, text)
    only_index(patch, folder / "wheels")
    onlooker, pins = Onlooker(), "tallybook==1.0\n"
    run_loop(
        folder,
        [History("bills", first(pins))],
        event(),
        until="repair",
        requirements=pins,
        fixers=(onlooker,),
    )
    return onlooker.cases[0]


def test_the_nearest_version_that_holds_is_proposed_to_a_person(wheels: Path, tmp_path: Path) -> None:
    library(wheels, "1.0.1", STILL)
    library(wheels, "1.1", MENDED)
    library(wheels, "2.0", OTHERWISE)

    house, attempt = repaired(tmp_path, first("# what runs\ntallybook==1.0  # splits\n"))

    patch, judged = attempt.patch, attempt.validation
    assert patch is not None, attempt.said
    assert judged is not None
    assert patch.upgrade is not None
    assert (patch.fixer, patch.kind, patch.upgrade.old, patch.upgrade.new) == (
        "upstream", "upstream", "1.0", "1.1"
    )  # fmt: skip
    changed = [
        line
        for line in patch.diffs["bills"].splitlines()
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert changed == ["-tallybook==1.0  # splits", "+tallybook==1.1  # splits"]
    assert (judged.fails_before, judged.passes_after) == ((10, 10), (10, 10))
    assert judged.environments["differ_in"] == ["tallybook 1.1 in place of 1.0"]
    assert judged.suite_after["bills"]["passed"] == judged.suite_before["bills"]["passed"] == 1
    # Nothing that was run says what is right for no guests: the failure is gone, and a person decides.
    assert (attempt.ended, judged.verdict, judged.oracle) == (
        Ended.NEEDS_DECISION, ValidationVerdict.WEAK, Oracle.NO_CRASH
    )  # fmt: skip
    tried = {p.upgrade.new: v for p, v in attempt.rejected if p.upgrade is not None}
    assert list(tried) == ["1.0.1"], "a version further away is not asked for"
    assert tried["1.0.1"].rule == "oracle"
    assert "still fails" in tried["1.0.1"].said
    told = decide(house, queries.incident(house.database, "INC-1"), attempt)
    assert (told.opens, "nobody here has read" in told.why) == (False, True)
    with pytest.raises(NotAllowed, match="waits for a person"):
        open_drafts(house, "INC-1")

    (draft,) = open_drafts(house, "INC-1", "ann")

    pushed = git(tmp_path / "origin", "show", f"{draft.branch}:requirements.txt")
    assert pushed == "# what runs\ntallybook==1.1  # splits"
    assert "differ in `tallybook` 1.1 in place of 1.0" in draft.body
    assert "read by nobody here" in draft.body
    assert "the proof is that the failure is gone" in draft.body


@pytest.mark.heavy
def test_a_bump_that_broke_the_call_is_taken_back_with_the_old_answer_as_the_oracle(
    wheels: Path, tmp_path: Path
) -> None:
    library(wheels, "0.9", MENDED)
    library(wheels, "1.1", STILL)

    house, attempt = repaired(tmp_path, [*first("tallybook==0.9\n"), BUMP])

    assert attempt.ended is Ended.PROVEN, attempt.said
    assert attempt.patch is not None
    assert attempt.patch.diffs["bills"].splitlines()[-2:] == ["-tallybook==1.0", "+tallybook==0.9"]
    assert attempt.patch.loses == ("what tallybook 1.0 has over 0.9",)
    assert attempt.reproducer is not None
    assert (attempt.reproducer.oracle, attempt.reproducer.expected) == (Oracle.PARENT_VALUE, {})
    (suspected,) = (one for one in attempt.hypotheses if one.kind == "dependency_upgrade")
    assert (suspected.status, suspected.shown) == (
        "supported", "with tallybook 0.9 in place of 1.0 it gives a value"
    )  # fmt: skip
    cause = attempt.changes[0]
    assert (cause.title, cause.verdict) == ("Bump tallybook", ChangeVerdict.SUPPORTED)
    forward = next(v for p, v in attempt.rejected if p.upgrade is not None and p.upgrade.new == "1.1")
    assert "still fails" in forward.said
    assert not decide(house, queries.incident(house.database, "INC-1"), attempt).opens


@pytest.mark.heavy
def test_forward_is_taken_where_a_newer_version_gives_the_answer_of_before(
    wheels: Path, tmp_path: Path
) -> None:
    library(wheels, "0.9", MENDED)
    library(wheels, "1.1", MENDED)

    _, attempt = repaired(tmp_path, [*first("tallybook==0.9\n"), BUMP])

    assert attempt.ended is Ended.PROVEN, attempt.said
    assert attempt.patch is not None
    assert attempt.patch.upgrade is not None
    assert (attempt.patch.upgrade.new, attempt.patch.loses) == ("1.1", ())
    assert [p.upgrade.new for p, _ in attempt.rejected if p.upgrade is not None] == ["0.9"]


@pytest.mark.heavy
def test_versions_that_break_the_suite_or_need_other_packages_are_refused_in_words(
    wheels: Path, tmp_path: Path
) -> None:
    library(wheels, "1.1", OTHERWISE.replace("total / parts", "total / parts + 1"))
    library(wheels, "2.0", MENDED, ("abacus>=3",))

    _, attempt = repaired(tmp_path, first("tallybook==1.0\n"))

    tried = {p.upgrade.new: v for p, v in attempt.rejected if p.upgrade is not None}
    assert attempt.patch is None
    assert (tried["1.1"].rule, "fails now" in tried["1.1"].said) == ("suite", True)
    assert (tried["2.0"].rule, "requires `abacus>=3`" in tried["2.0"].said) == ("other_packages", True)
    assert "no fix was proven" in attempt.said


@pytest.mark.heavy
def test_where_there_is_no_newer_version_or_no_file_that_pins_it_is_said(
    wheels: Path, tmp_path: Path
) -> None:
    _, none = repaired(tmp_path / "none", first("tallybook==1.0\n"))
    library(wheels, "1.1", MENDED)
    _, open_ = repaired(tmp_path / "open", first("tallybook<1.1\n"))
    poetry = {"poetry.lock": '[[package]]\nname = "tallybook"\nversion = "1.0"\n'}
    _, foreign = repaired(tmp_path / "poetry", [*first("tallybook==1.0\n"), ("Lock", "2024-02-01", poetry)])

    assert none.said.endswith("in tallybook 1.0, and no newer version of it is to be had as a wheel")
    assert "no file of the repositories pins tallybook at 1.0" in open_.said
    assert "poetry.lock pins tallybook, and only requirements files" in foreign.said
    assert none.patch is open_.patch is foreign.patch is None


@pytest.mark.heavy
def test_its_proof_makes_both_environments_again_from_the_file_alone(wheels: Path, tmp_path: Path) -> None:
    library(wheels, "1.1", MENDED)
    house, attempt = repaired(tmp_path, first("tallybook==1.0\n"))
    assert attempt.proof is not None, attempt.said
    file = proofs.read(tmp_path / "data" / "artifacts" / "proofs" / f"{attempt.id}.json")
    shutil.rmtree(tmp_path / "data" / "environments")

    found = proofs.verify(house, file, {})

    assert found.holds, found.said
    assert found.same_runs == found.runs > 5
    made = {place.name for place in (tmp_path / "data" / "environments").iterdir() if place.is_dir()}
    assert len(made) == 2


@pytest.mark.heavy
def test_a_lock_of_uv_makes_the_environment_and_is_moved_by_uv(wheels: Path, tmp_path: Path) -> None:
    library(wheels, "1.1", MENDED)
    wheel(wheels, "abacus", "3.0", {"abacus.py": ""})
    project = '[project]\nname = "bills"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["tallybook", "abacus"]\n'
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(project)
    locked = Installer().run("lock", "--upgrade-package", "tallybook==1.0", folder=folder)
    assert locked.returncode == 0, locked.stderr
    lock = (folder / "uv.lock").read_text()
    (subject, day, files), *_ = first("")
    commit = (subject, day, {**files, "requirements.txt": "", "pyproject.toml": project, "uv.lock": lock})

    house, attempt = repaired(tmp_path, [commit])

    assert attempt.patch is not None, attempt.said
    assert attempt.patch.upgrade is not None
    assert attempt.patch.upgrade.installed == ("abacus==3.0", "tallybook==1.0")
    assert attempt.patch.files == ("uv.lock",)
    open_drafts(house, "INC-1", "ann")
    pushed = git(tmp_path / "origin", "show", "nightdesk/INC-1:uv.lock") + "\n"
    assert pushed == lock.replace(
        'name = "tallybook"\nversion = "1.0"', 'name = "tallybook"\nversion = "1.1"'
    ).replace("tallybook-1.0-py3", "tallybook-1.1-py3")


@pytest.mark.heavy
def test_pins_with_hashes_get_those_that_the_index_gives(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(wheels, "1.1", MENDED)
    old, new = hashing_index(monkeypatch, wheels).values()

    _, attempt = repaired(tmp_path, first(f"tallybook==1.0 \\\n    --hash={old}\n"))

    assert attempt.patch is not None, attempt.said
    added = [line for line in attempt.patch.diffs["bills"].splitlines() if line.startswith("+")][1:]
    assert added == ["+tallybook==1.1 \\", f"+    --hash={new}"]


def test_what_does_more_than_move_the_package_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = upgrade_case(tmp_path, monkeypatch)
    (patch,) = UpstreamFixer().propose(case)
    assert patch.upgrade is not None
    more = patch.diffs["bills"].replace("@@ -1 +1 @@", "@@ -1 +1,2 @@") + "+mine==6.6\n"
    code = (
        "--- a/app/bills.py\n+++ b/app/bills.py\n@@ -3 +3 @@\n-import tallybook\n+import tallybook  # ours\n"
    )
    elsewhere = patch.upgrade.model_copy(update={"installed": ("tallybook==1.0", "mine==6.6")})
    tampered = {
        "protected_path": patch.model_copy(update={"diffs": {"bills": more}}),
        "touches code": patch.model_copy(update={"diffs": {"bills": code}}),
        "environment": patch.model_copy(update={"upgrade": elsewhere}),
        "as any other": patch.model_copy(update={"upgrade": None}),
    }
    base = case.bench.world()

    found = {
        name: upgrade.prepare(case.bench, base, one, one.upgrade)
        if one.upgrade
        else applied.prepare(case.bench, base, one)
        for name, one in tampered.items()
    }

    rules = {name: one.rule if isinstance(one, Refusal) else "" for name, one in found.items()}
    assert rules == {
        "protected_path": "protected_path", "touches code": "protected_path", "environment": "environment",
        "as any other": "protected_path",
    }  # fmt: skip
    assert not isinstance(upgrade.prepare(case.bench, base, patch, patch.upgrade), Refusal)
