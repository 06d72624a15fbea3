"""Split a file of labelled events in two, so that `eval noise` can be calibrated on one half as a team would.

    python -m bench.split_labels DEV.jsonl.gz TRAIN.jsonl TEST.jsonl

By a hash of the id, within each source; what the halves hold does not hang on the order of the file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path


def main() -> int:
    """Write both halves."""
    if len(sys.argv) != 4:
        print(__doc__)
        return 2
    path, *outs = map(Path, sys.argv[1:])
    halves: tuple[list[str], list[str]] = ([], [])
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for line in filter(str.strip, file):
            name = f"half {json.loads(line)['id']}"
            halves[hashlib.sha256(name.encode()).digest()[0] & 1].append(line)
    for out, lines in zip(outs, halves, strict=True):
        out.write_text("".join(lines), "utf-8")
    print(f"{len(halves[0])} to {outs[0]}, {len(halves[1])} to {outs[1]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
