"""`nightdesk` with a clock that jumps: SIGUSR1 moves it an hour ahead, an hour back, and home again.

python -m bench.jumping_server serve --port 8731
"""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from itertools import cycle

import time_machine

import nightdesk

HOUR = timedelta(hours=1)
_jumps = cycle((HOUR, -2 * HOUR, HOUR))


def _jump(*_: object) -> None:
    time_machine.travel(datetime.now(UTC) + next(_jumps), tick=True).start()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _jump)
    nightdesk.main()
