"""Recorded runs: what is run when."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from marginface.book import runs
from marginface.margins import NormFace
from marginface.regularizers import IAM
from marginface.training.recipes import Recipe

QUICK = Recipe(NormFace(10), (IAM(0.2),), data="digits", epochs=1, batch_size=64, optimizer="adam", lr=1e-3)
KILLED = """
import os, signal
from contextlib import contextmanager
from dataclasses import replace
from marginface.book import records, runs
from tests.book.test_runs import QUICK

writing = records.writing

@contextmanager
def deadly(path):
    with writing(path) as file:
        yield file
        if len(list(path.parent.glob("*.json"))) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

records.writing = deadly
runs.run_missing([replace(QUICK, seed=s) for s in range(4)])
"""


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_killed_series_goes_on_where_it_was(runs_folder: Path) -> None:
    """A process that is killed while it writes its third record leaves two; a second process runs just the rest."""
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    kept = {path.name: path.stat().st_mtime_ns for path in runs_folder.glob("*.json")}
    assert len(kept) == 2
    assert len(list(runs_folder.iterdir())) == 3, "and half of a third"
    assert len(runs.run_missing([replace(QUICK, seed=s) for s in range(4)])) == 4
    after = {path.name: path.stat().st_mtime_ns for path in runs_folder.iterdir()}
    assert len(after) == 4
    assert kept.items() <= after.items()
