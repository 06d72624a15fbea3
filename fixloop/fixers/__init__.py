"""Who proposes patches. All compete; the judge decides; ties go to the smaller diff that keeps the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from fixloop.bench import Bench
    from fixloop.prove import Cause
    from fixloop.reproduce.ladder import Reproduction
    from fixloop.situation import Situation
    from store.repair import CandidateChange, Hypothesis, Patch, Reproducer, Validation


@dataclass(frozen=True)
class FixCase:
    """What a fixer may look at: the situation, how it fails, the cause if one was found, and the code through
    the bench. `notes` takes sentences: why a fixer has nothing to propose where one could expect it to.
    """

    situation: Situation
    reproduction: Reproduction
    cause: Cause | None
    bench: Bench
    hypotheses: tuple[Hypothesis, ...] = ()  # checked, with what the runs made of them
    reproducer: Reproducer | None = None
    changes: tuple[CandidateChange, ...] = ()  # that may have caused it, with their verdicts
    notes: list[str] = field(default_factory=list)


class Fixer(Protocol):
    """Proposes patches; none is trusted. Entry-point group `nightdesk.fixers`."""

    name: str

    def propose(self, case: FixCase) -> Sequence[Patch]:
        """Patches, the likeliest first; none where it has no policy to go by."""
        ...


@runtime_checkable
class Reviser(Protocol):
    """A fixer that can do something with the judge's word. It bounds its own tries."""

    def revise(self, case: FixCase, patch: Patch, validation: Validation) -> Sequence[Patch]:
        """Other patches, after this one was not proven."""
        ...
