"""Who proposes explanations. None is believed: each citation is opened, each prediction that can be run is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fixloop.investigate.pack import Pack
    from store.repair import Hypothesis


class Investigator(Protocol):
    """Proposes hypotheses that cite the pack. Entry-point group `nightdesk.investigators`."""

    name: str

    def investigate(self, pack: Pack) -> Sequence[Hypothesis]:
        """Hypotheses, the likeliest first; none where there is nothing to say."""
        ...
