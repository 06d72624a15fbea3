"""Sandboxes: where the team's code may run. One that does not pass its self-test runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fixloop import Sandbox
from fixloop.sandboxes.bubblewrap import Bubblewrap
from fixloop.sandboxes.container import Docker, Podman
from fixloop.sandboxes.refuse import Refuse

BUILT_IN: Sequence[Sandbox] = (Bubblewrap(), Podman(), Docker())


def best(candidates: Iterable[Sandbox] = BUILT_IN) -> Sandbox:
    """The first sandbox whose self-test passes; otherwise one that refuses with the reasons of all."""
    reasons = []
    for sandbox in candidates:
        tested = sandbox.self_test()
        if tested.ok:
            return sandbox
        reasons.append(tested.said)
    return Refuse(" ".join(reasons) or "no sandbox is configured.")
