"""Labelled crash events as rows of `eval noise`.

    python -m bench.crash_rows FOLDER OUT.jsonl      (FOLDER holds crashes/ and apps/dev/)

Events whose label is open to argument ("ambiguous") are left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each labelled event."""
    for path in sorted(folder.glob("crashes/*/event.json")):
        kind = json.loads((path.parent / "case.json").read_text("utf-8"))["kind"]
        yield _row(f"crashes/{path.parent.name}", "crash-events:projects", path, matters=kind == "bug")
    for app in sorted(folder.glob("apps/dev/*")):
        for name, label in json.loads((app / "labels.json").read_text("utf-8")).items():
            if "ambiguous" not in label:
                matters = label["label"] == "crash"
                yield _row(
                    f"{app.name}/{name}", "crash-events:applications", app / "events" / name, matters=matters
                )


def _row(name: str, source: str, path: Path, *, matters: bool) -> dict[str, Any]:
    event = json.loads(path.read_text("utf-8"))
    return {"id": name, "source": source, "event": event, "label": "actionable" if matters else "noise"}


def main() -> int:
    """Write the file."""
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    lines = [json.dumps(row) for row in rows(Path(sys.argv[1]))]
    Path(sys.argv[2]).write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(lines)} events to {sys.argv[2]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
