"""What a model's suspicion moves in the ranking: a few places, and only where it cites what the change did.

The vote is one more reason of the change, and stands beside what the runs show; a proof outranks every vote.
"""

from __future__ import annotations

from collections.abc import Sequence

from store.repair import CandidateChange, Hypothesis

LIFTED = 3  # places that a vote can lift a change
_SHOWN = 160  # characters of a statement and of a quote


def voted(candidates: Sequence[CandidateChange], hypotheses: Sequence[Hypothesis]) -> list[CandidateChange]:
    """The candidates, likeliest first, with those lifted that a hypothesis of somebody other than the patterns suspects
    and cites. Who votes twice for a change has one vote; the score is that of the new place."""
    found = list(candidates)
    for at, change in enumerate(candidates):
        vote = next((one for one in hypotheses if _cites(one, change)), None)
        if vote is None:
            continue
        place = found.index(change)
        higher = max(at - LIFTED, 0)
        found.pop(place)
        score = max(change.score, found[higher].score) if higher < len(found) else change.score
        reasons = (_said(vote, change, at - higher), *change.reasons)
        found.insert(higher, change.model_copy(update={"score": score, "reasons": reasons}))
    return found


def _cites(one: Hypothesis, change: CandidateChange) -> bool:
    """Whether a hypothesis is about a change and cites a line of its hunks, or its title."""
    if (
        one.by == "patterns"
        or one.test is None
        or (one.test.repo, one.test.commit) != (change.repo, change.commit)
    ):
        return False
    return any(each.kind == "commit" and each.commit == change.commit for each in one.evidence)


def _said(vote: Hypothesis, change: CandidateChange, places: int) -> str:
    cited = next(each for each in vote.evidence if each.kind == "commit" and each.commit == change.commit)
    lifted = f"lifted {places} place{'s' if places > 1 else ''}" if places else "stays first"
    where = f"{cited.path}: " if cited.path else ""
    quote = (cited.quote or "")[:_SHOWN]
    return f"suspected by {vote.by}, {lifted}: {vote.statement[:_SHOWN]} (cites {where}{quote!r})"
