"""Send spoiled captures to the doors: how many of which answer, the slowest, the memory.

    python bench/mutations.py [--cases 10000] [--seed 3]

Exits with 1 at the first answer of 500 or above, and where one takes longer than ten seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from server.app import make_app  # noqa: E402
from server.config import load  # noqa: E402
from server.house import House  # noqa: E402
from store import queries  # noqa: E402
from tests.journeys.mutations import spoiled  # noqa: E402


async def run(house: House, cases: int, seed: int) -> int:
    """Send them one after the other; 0 where all were answered in time and none was our failure."""
    key = queries.keys(house.database, "default")[-1].key
    transport = httpx.ASGITransport(app=make_app(house), raise_app_exceptions=False)
    answers: Counter[int] = Counter()
    slowest, memory = 0.0, [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        for number, sent in enumerate(islice(spoiled(seed), cases), 1):
            headers = {**sent.headers, "x-nightdesk-key": key, "authorization": f"Bearer {key}"}
            start = time.monotonic()
            answer = await http.post(
                sent.path, content=sent.body, headers=headers, params={"sentry_key": key}
            )
            spent = time.monotonic() - start
            slowest = max(slowest, spent)
            answers[answer.status_code] += 1
            if answer.status_code >= 500 or spent > 10:
                print(
                    f"case {number}: {answer.status_code} after {spent:.1f} s: {sent.path} {sent.body[:500]!r}"
                )
                return 1
            if number % max(1, cases // 4) == 0:
                memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
    print(
        f"{cases} cases, answers {dict(sorted(answers.items()))}, slowest {slowest:.2f} s, peak MiB {memory}"
    )
    return 0


def main() -> int:
    """The exit code says whether the bounds hold."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, House.open(load(Path(folder) / "data")) as house:
        return asyncio.run(run(house, given.cases, given.seed))


if __name__ == "__main__":
    sys.exit(main())
