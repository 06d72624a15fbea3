"""A proof that is run again from its file: it holds, it does not, it was tampered with, something is missing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.cli import cli
from server.config import load
from server.house import House
from server.incidents import proof_files
from server.incidents.as_json import incident_json
from server.repairs import proofs, repairing
from store import journal, queries
from store.project import RepositoryConfig
from tests.sandbox import shop

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one incident whose repair was proven."""
    folder = tmp_path_factory.mktemp("proven")
    shop.make_repository(folder / "origin")
    with House.open(load(folder / "data", {"NIGHTDESK_RUNS": "10", "NIGHTDESK_DRAFTS": "never"})) as house:
        tested = house.sandbox.self_test()
        if not tested.ok:
            pytest.skip(tested.said)
        house.mirrors.add("shop", str(folder / "origin"))
        config = {"env": {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}}
        row = RepositoryConfig(name="shop", project="default", url=str(folder / "origin"), config=config)
        journal.add_repository(house.database, row)
        house.receive([shop.crash().model_copy(update={"project": "default"})])
        attempt = repairing.repair(house, "INC-1")
        assert attempt.proof is not None, attempt.said
    return folder


def nightdesk(*args: str) -> Result:
    unset = {name: None for name in os.environ if name.startswith("NIGHTDESK_")}
    return CliRunner().invoke(cli, args, env=unset, catch_exceptions=False)


def changed(proven: Path, tmp_path: Path, *, sealed: bool, edit: Any) -> Path:
    """A copy of the proof file with an edit; `sealed` by somebody who knows how."""
    values = json.loads((proven / "data" / proof_files.FOLDER / "INC-1-1.json").read_text())
    edit(values)
    if sealed:
        file = proofs.ProofFile.model_validate(values)
        proof = file.proof
        named = proofs.proof_of(
            proof.incident_id, proof.patch, proof.reproducer, proof.validation, proof.made_at
        )
        values = file.model_copy(update={"proof": named}).model_dump(mode="json")
        values["seal"] = proofs._seal(values)
    place = tmp_path / "proof.json"
    place.write_text(json.dumps(values))
    return place


def test_the_incident_says_where_the_file_is_and_running_it_again_it_holds(proven: Path) -> None:
    data = str(proven / "data")
    with House.open(load(proven / "data", {})) as house:
        told = incident_json(house, "INC-1")["proof"]
        (attempt,) = queries.attempts(house.database, "INC-1")
    assert attempt.proof is not None
    assert told == {"file": "artifacts/proofs/INC-1-1.json", "hash": attempt.proof.id}

    done = nightdesk("proof", "verify", told["file"], "--data", data, "--json")

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["holds"], found["verdict"], found["proof"]) == (True, "proven", told["hash"])
    assert found["same_runs"] == found["runs"] > 5


def test_a_host_that_did_not_make_the_file_has_it_from_the_artifacts(proven: Path) -> None:
    place = proven / "data" / proof_files.FOLDER / "INC-1-1.json"
    made = place.read_bytes()
    place.unlink()  # as on another host, which shares only the database and what is kept in it

    done = nightdesk("proof", "verify", "INC-1", "--data", str(proven / "data"))

    assert done.exit_code == 0, done.output
    assert place.read_bytes() == made


def test_it_holds_from_a_clone_in_a_folder_that_has_only_the_environments(
    proven: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "data"
    shutil.copytree(proven / "data" / "environments", fresh / "environments", symlinks=True)
    file = str(proven / "data" / proof_files.FOLDER / "INC-1-1.json")
    missing = nightdesk("proof", "verify", file, "--data", str(fresh))
    assert (missing.exit_code, "no repository 'shop'" in missing.stderr) == (1, True)

    done = nightdesk("proof", "verify", file, "--repo", f"shop={proven / 'origin'}", "--data", str(fresh))

    assert done.exit_code == 0, done.output
    assert "it holds" in done.stdout


def test_a_file_that_was_changed_is_refused_in_one_sentence(proven: Path, tmp_path: Path) -> None:
    def edit(values: dict[str, Any]) -> None:
        values["runs"] = 1

    file = changed(proven, tmp_path, sealed=False, edit=edit)

    done = nightdesk("proof", "verify", str(file), "--data", str(proven / "data"))

    assert done.exit_code == 1
    assert "was changed after it was written" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_patch_that_does_not_repair_does_not_hold_however_well_it_is_sealed(
    proven: Path, tmp_path: Path
) -> None:
    useless = shop.patch_of(("shop/quotes.py", shop.BAD_LINE, shop.BAD_LINE + "    # it is fine\n"))

    def edit(values: dict[str, Any]) -> None:
        values["proof"]["patch"]["diffs"] = dict(useless.diffs)

    file = changed(proven, tmp_path, sealed=True, edit=edit)

    done = nightdesk("proof", "verify", str(file), "--data", str(proven / "data"))

    assert done.exit_code == 3, done.output
    assert "it does not hold" in done.stdout


def test_a_scan_that_the_file_only_claims_is_made_again(proven: Path, tmp_path: Path) -> None:
    once = "import time\n\n\ndef test_it():\n    assert time.time_ns() % 2\n"

    def edit(values: dict[str, Any]) -> None:
        values["proof"]["reproducer"] |= {"source": once, "runs": 10_000, "failures": 10_000}

    file = changed(proven, tmp_path, sealed=True, edit=edit)

    done = nightdesk("proof", "verify", str(file), "--data", str(proven / "data"))

    assert done.exit_code == 3, done.output
    assert "it does not hold" in done.stdout


@pytest.mark.parametrize(
    ("target", "said"),
    [("INC-99", "no incident"), ("no-such.json", "no proof file"), ("nightdesk.sqlite", "not a proof file")],
)
def test_what_is_no_proof_is_told_in_one_sentence(proven: Path, target: str, said: str) -> None:
    done = nightdesk("proof", "verify", target, "--data", str(proven / "data"))
    assert (done.exit_code, said in done.stderr) == (1, True)
    assert done.stderr.count("\n") == 1
