"""Real crashes and noise of the shared data, where it is at hand: nothing that is a crash is set aside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.triage_lanes import measure

FOLDER = Path(os.environ.get("NIGHTDESK_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared data folder is not here (set NIGHTDESK_SHARED)")
def test_no_crash_is_set_aside_most_noise_is_and_every_own_frame_is_found(tmp_path):
    found = measure(FOLDER, tmp_path)
    lanes = found["lanes"]
    noise = {lane: lanes.get(f"noise -> {lane}", 0) for lane in ("focus", "backlog", "noise")}
    assert found["crashes_set_aside"] == []
    assert lanes["crash -> focus"] > 0
    assert noise["focus"] == 0
    assert noise["noise"] >= 0.8 * sum(noise.values())
    assert found["wrong"] == []
    right, wanted = found["frames"]
    assert right == wanted > 0


@pytest.mark.heavy
@pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared data folder is not here (set NIGHTDESK_SHARED)")
def test_every_real_event_is_triaged_byte_for_byte_the_same_in_every_process_and_within_its_time():
    told = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "bench.triage_cost", str(FOLDER)],
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout
        told.append(next(line for line in done.stdout.splitlines() if line.startswith("replayed")))
    assert told[0] == told[1]
    assert "byte-identical" in told[0]
