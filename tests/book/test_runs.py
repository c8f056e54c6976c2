"""Recorded runs: what is run when."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from marginface.book import runs
from marginface.margins import NormFace
from marginface.regularizers import IAM
from marginface.training.recipes import Recipe

QUICK = Recipe(NormFace(10), (IAM(0.2),), data="digits", epochs=1, batch_size=64, optimizer="adam", lr=1e-3)


def test_missing_runs_are_run_once(runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipes = [replace(QUICK, seed=seed) for seed in (0, 1)]
    assert len(runs.run_missing(recipes)) == 2
    assert "[2/2]" in capsys.readouterr().err
    times = [path.stat().st_mtime_ns for path in sorted(runs_folder.iterdir())]
    assert len(runs.run_missing(recipes)) == 2
    assert [path.stat().st_mtime_ns for path in sorted(runs_folder.iterdir())] == times
    assert capsys.readouterr().err == ""
    runs.run_missing(recipes[:1], force=True)
    assert "[1/1]" in capsys.readouterr().err


def test_a_killed_series_goes_on_where_it_was(runs_folder: Path) -> None:
    """A process that is killed in the middle leaves whole records only; a second one runs just the rest."""
    script = (
        "from dataclasses import replace; from marginface.book import runs; from tests.book.test_runs import QUICK;"
        "runs.run_missing([replace(QUICK, seed=s, epochs=3) for s in range(6)])"
    )
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=os.environ, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(runs_folder.glob("*.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {path.name: path.stat().st_mtime_ns for path in runs_folder.glob("*.json")}
    assert 1 <= len(kept) < 6
    subprocess.run(command, cwd=Path(__file__).parents[2], env=os.environ, check=True, capture_output=True)
    after = {path.name: path.stat().st_mtime_ns for path in runs_folder.glob("*.json")}
    assert len(after) == 6
    assert kept.items() <= after.items()
