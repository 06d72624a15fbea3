"""What a process that serves keeps for good is not looked through again.

A full collection walks every object, and most belong to the modules that were imported: 90 to 150 ms in which nobody is
answered (`bench/mcp_list.py` shows it as the slowest of a hundred calls). Once frozen they are passed over, and
workers that are forked share their pages.
"""

from __future__ import annotations

import gc

# Containers that are made before the young ones are looked through. An event makes a few thousand, which die with it by
# their counts: looking through them after every 700, which is Python's own number, was 3 % of what an event costs.
YOUNG = 20_000


def settle() -> None:
    """Keep what is there now out of later collections. For the start of a process that stays, once.

    What is garbage now is taken away first; what becomes garbage later, of what is made later, is found as ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
