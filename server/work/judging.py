"""One step of a patch that was handed in: what goes wrong in it is a result, in words."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from server.repairs import answering
from server.repairs.submitting import ended, judged
from store.errors import NightdeskError
from store.repair import Submission

if TYPE_CHECKING:
    from server.house import House

log = logging.getLogger("nightdesk.work")


def advanced(house: House, submission: Submission) -> Submission:
    """How far it is after its next step. Blocking. Raises what is tried again."""
    try:
        return (
            judged(house, submission) if submission.asked is None else answering.advanced(house, submission)
        )
    except NightdeskError:
        raise
    except Exception as error:
        log.exception("%s could not be judged.", submission.id)
        said = f"it failed inside Nightdesk ({type(error).__name__}); its log says where"
        return ended(submission, said)
