"""What a patch is judged against, out of the record of an attempt; and the file of a proof."""

from __future__ import annotations

import logging

from fixloop.judging.judge import Trial
from fixloop.reproduce.recipe import Recipe
from server.house import House
from server.repairs import proofs
from server.repairs.workbench import Prepared
from store import journal
from store.errors import NightdeskError, NotFound
from store.repair import Attempt, ChangeVerdict

log = logging.getLogger("nightdesk.repair")


def trial_of(prepared: Prepared, attempt: Attempt) -> Trial:
    """What a patch is judged against, from the record of an attempt."""
    reproducer = attempt.reproducer
    if reproducer is None:
        raise NotFound(f"{attempt.incident_id} has no reproducer.")
    situation, bench = prepared.situation, prepared.bench
    signature = next((s.signature for s in situation.sightings if s.signature), None)
    if signature is None:
        raise NotFound(f"No kept event of {attempt.incident_id} carries an exception.")
    cause = next((c for c in attempt.changes if c.verdict == ChangeVerdict.PROVEN), None)
    parents = None
    if cause is not None:
        info = bench.repositories.get(cause.repo).log(cause.commit, limit=1)[0]
        parents = bench.at(cause.repo, info.parents[0]) if info.parents else None
    return Trial(
        reproducer=reproducer,
        recipe=Recipe.model_validate(reproducer.recipe),
        signature=signature,
        expected=reproducer.expected,
        parents=parents,
        modules=frozenset(situation.modules),
    )


def keep_proof(house: House, prepared: Prepared, attempt: Attempt, holder: str | None = None) -> None:
    """Write the proof's file, and say in the attempt which artifact it is. The proof itself is kept already: a full
    disk must not lose the repair."""
    if attempt.proof is None:
        return
    try:
        digest = proofs.keep(house, prepared, attempt, attempt.proof, trial_of(prepared, attempt))
        kept = attempt.model_copy(update={"proof_file": digest})
        journal.keep_attempt(house.database, kept, holder)
    except NightdeskError as error:
        log.warning("The proof of %s has no file: %s", attempt.id, error)
