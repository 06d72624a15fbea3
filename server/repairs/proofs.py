"""Proof files: a proven repair with everything that is needed to run its proof again, from the file alone.

A file holds the proof (patch, reproducer, what was found) and what it stood on: commits, layout, requirements,
what the failure looks like. Its seal notices damage and careless changes; what convinces is running it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from fixloop import Repository
from fixloop.bench import Bench, Budget
from fixloop.conclude import proof_of
from fixloop.judging.judge import Judge, Trial
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.same import Signature
from fixloop.running.environments import Environments
from fixloop.running.packages import Packages, made
from fixloop.running.worlds import Layout, RepoLayout, Trees
from server.incidents.proof_files import FOLDER, write
from server.repairs.workbench import Prepared, ProjectRepositories, Wanted
from store.commits import CommitInfo
from store.errors import BadPayload, NotFound
from store.event import Value
from store.mirrors import Mirrors
from store.repair import Attempt, ChangeVerdict, Proof, Validation, ValidationVerdict

if TYPE_CHECKING:
    from server.house import House

LARGEST = 50 << 20  # bytes of a file that is read
_FORMAT = 1
_HOLD = (ValidationVerdict.PROVEN, ValidationVerdict.WEAK)  # weak: of another version of a dependency only


class ProofFile(Value):
    """What stands in a file. `parent` is (repository, commit): where the answer was right, if that is known."""

    format: int = _FORMAT
    proof: Proof
    signature: Signature
    modules: tuple[str, ...]
    parent: tuple[str, str] | None
    repositories: tuple[RepoLayout, ...]
    env: dict[str, str]
    wanted: Wanted
    protected: tuple[str, ...]
    runs: int
    seal: str = ""


@dataclass(frozen=True)
class Verified:
    """What running a proof again has shown. `same_runs` of `runs` recorded runs had the same outcome."""

    holds: bool
    said: str
    proof: str
    incident: str
    verdict: str
    runs: int
    same_runs: int


def keep(house: House, prepared: Prepared, attempt: Attempt, proof: Proof, trial: Trial) -> str:
    """Write the file of a proof, and keep it as an artifact, which every host of the installation has; the artifact's
    hash. Raises NotFound, Unavailable."""
    layout = prepared.bench.layout
    file = ProofFile(
        proof=proof, signature=trial.signature, modules=tuple(sorted(trial.modules)),
        parent=_parent(prepared, attempt), repositories=layout.repositories, env=dict(layout.env),
        wanted=prepared.wanted, protected=prepared.bench.protected, runs=prepared.bench.runs,
    )  # fmt: skip
    values = file.model_dump(mode="json")
    content = json.dumps({**values, "seal": _seal(values)}, indent=1).encode()
    write(house.config.data / FOLDER / f"{attempt.id}.json", content)
    return house.artifacts.put(content)


def read(place: Path) -> ProofFile:
    """A proof file. Raises NotFound; BadPayload for what is none, or was changed after it was written."""
    try:
        if place.stat().st_size > LARGEST:
            raise BadPayload(f"{place} is larger than any proof file.")
        values = json.loads(place.read_bytes())
        file = ProofFile.model_validate(values)
    except OSError as error:
        raise NotFound(f"The proof file {place} cannot be read: {error.strerror}.") from error
    except (ValidationError, ValueError) as error:
        raise BadPayload(f"{place} is not a proof file of this version.") from error
    proof = file.proof
    named = proof_of(proof.incident_id, proof.patch, proof.reproducer, proof.validation, proof.made_at)
    if file.seal != _seal(values) or named.id != proof.id:
        raise BadPayload(f"The proof file {place} was changed after it was written; take it from a backup.")
    return file


def verify(house: House, file: ProofFile, clones: Mapping[str, Path]) -> Verified:
    """Run a proof again, without a network: from the mirrors, or the clones given for some repositories, and an
    environment that is there already. Raises NotFound, Unavailable, SandboxRefused with what is missing."""
    with TemporaryDirectory(prefix="nightdesk-proof-") as folder:
        given = Mirrors(Path(folder) / "mirrors")
        for name, place in clones.items():
            given.add(name, str(place))
        mirrors: dict[str, Repository] = {
            repo.name: (given if repo.name in clones else house.mirrors).get(repo.name)
            for repo in file.repositories
        }
        for repo in file.repositories:
            if mirrors[repo.name].resolve(repo.commit) is None:
                raise NotFound(
                    f"{repo.name} has no commit {repo.commit[:12]} here; name a clone that has it with "
                    f"--repo {repo.name}=PATH."
                )
        return _judged(house, file, ProjectRepositories(mirrors), Path(folder) / "trees")


def _judged(house: House, file: ProofFile, repositories: ProjectRepositories, trees: Path) -> Verified:
    environments, upgrade = Environments(house.config.data / "environments"), file.proof.patch.upgrade
    if upgrade is None:
        environment = file.wanted.prepared(environments, allow_network=False)
    else:  # both are made from the lists in the file, whatever an open requirement would bring today
        environment = made(environments, upgrade.installed, upgrade, allow_network=False)
    bench = Bench(
        repositories=repositories,
        sandbox=house.sandbox,
        environment=environment,
        packages=Packages(environments, environment, file.wanted.stub_metadata, allow_network=False),
        layout=Layout(file.repositories, file.env),
        trees=Trees(trees, repositories),
        now=lambda: datetime.now(UTC),
        protected=file.protected,
        runs=file.runs,
        budget=Budget(house.config.repair_seconds),
    )
    proof = file.proof
    trial = Trial(
        # What the file claims of the reproducer's own scan counts for nothing: every run is made again.
        reproducer=proof.reproducer.model_copy(update={"runs": 0, "failures": 0}),
        recipe=Recipe.model_validate(proof.reproducer.recipe),
        signature=file.signature,
        expected=proof.reproducer.expected,
        parents=bench.at(*file.parent) if file.parent else None,
        modules=frozenset(file.modules),
    )
    return _compared(proof, Judge(bench, trial).judge(proof.patch))


def _compared(proof: Proof, found: Validation) -> Verified:
    holds = found.verdict in _HOLD and found.verdict is proof.validation.verdict
    before = {run.hash for run in proof.validation.runs}
    said = "it holds: " if holds else "it does not hold: "
    return Verified(
        holds=holds, said=said + found.said, proof=proof.id, incident=proof.incident_id,
        verdict=found.verdict.value, runs=len(before), same_runs=len(before & {run.hash for run in found.runs}),
    )  # fmt: skip


def _parent(prepared: Prepared, attempt: Attempt) -> tuple[str, str] | None:
    """The repository and the commit before the proven cause."""
    cause = next((change for change in attempt.changes if change.verdict is ChangeVerdict.PROVEN), None)
    if cause is None:
        return None
    commit: CommitInfo = prepared.bench.repositories.get(cause.repo).log(cause.commit, limit=1)[0]
    return (cause.repo, commit.parents[0]) if commit.parents else None


def _seal(values: Mapping[str, Any]) -> str:
    """A hash over everything but itself."""
    rest = {name: value for name, value in values.items() if name != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
