"""What a process that serves keeps for good is not looked through again.

A full collection walks every object, and most belong to the modules that were imported: 90 to 150 ms in which nobody is
answered (`bench/mcp_list.py` shows it as the slowest of a hundred calls). Once frozen they are passed over, and
workers that are forked share their pages.
"""

from __future__ import annotations

import gc


def settle() -> None:
    """Keep what is there now out of later collections. For the start of a process that stays, once.

    What is garbage now is taken away first; what becomes garbage later, of what is made later, is found as ever.
    """
    gc.collect()
    gc.freeze()
