"""Recorded runs: what is run when."""

import argparse
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marginface.book import papers, records, runs
from marginface.margins import NormFace
from marginface.regularizers import IAM
from marginface.training import Run, checkpoints
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


def test_records_are_packed_by_what_their_pages_read(runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What no page asks for is left as it is: it may be somebody's own."""
    known, own = QUICK, replace(QUICK, seed=7)
    run = Run(known, {"LFW": 0.9, "LFW all pairs AUC": 0.95}, {}, {"LFW correct": np.zeros(9, bool)}, "", "", {})
    for recipe in (known, own):
        records.store(replace(run, recipe=recipe, provenance={}))
    runs.pack_all({known: ("theta_histogram",), replace(QUICK, seed=8): ()})
    assert [list(records.read(runs_folder / f"{recipe.key}.json").arrays) for recipe in (known, own)] == [[], ["LFW correct"]]
    assert "1 of 2 records are packed" in capsys.readouterr().err


def test_pages_say_what_they_read() -> None:
    """All that ask for a run together; nobody more than the metrics of what settings were chosen among."""
    reads = papers.reads()
    assert set(reads) == {recipe for own in papers.grids().values() for recipe in own}
    assert {recipe for recipe, own in reads.items() if own is None} == {r for r in reads if "/choice" in r.data}
    arcface = next(iter(papers.find("InterFace", "Table I").grid()))  # type: ignore[union-attr]
    assert {"theta_histogram", "LFW correct", "templates "} <= set(reads[arcface] or ())


@pytest.mark.slow
def test_a_killed_series_goes_on_where_it_was(runs_folder: Path) -> None:
    """A process that is killed while it writes its third record leaves two; a second process runs just the rest."""
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    kept = {path.name: path.stat().st_mtime_ns for path in runs_folder.glob("*.json")}
    assert len(kept) == 2
    assert len(list(runs_folder.glob(".*.tmp"))) == 1, "half of a third"
    assert len(runs.run_missing([replace(QUICK, seed=s) for s in range(4)])) == 4
    after = {path.name: path.stat().st_mtime_ns for path in runs_folder.rglob("*") if path.is_file()}
    assert len(after) == 4
    assert kept.items() <= after.items()


@pytest.mark.slow
def test_at_its_limit_a_series_stops_and_goes_on_from_there(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was under way leaves a checkpoint, and the run that goes on from it is the one that nothing has cut off."""
    (whole,) = runs.run_missing([QUICK])
    (runs_folder / f"{QUICK.key}.json").unlink()
    monkeypatch.setattr(runs, "SAVE_EVERY", 2)
    saved = checkpoints.save

    def save(checkpoint: checkpoints.Checkpoint, path: Path) -> None:
        saved(checkpoint, path)
        signal.raise_signal(signal.SIGALRM)  # the limit is reached now, on a machine of any speed

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save", save)
        assert runs.run_missing([QUICK], limit=1e6) == []
    assert "The time is up" in capsys.readouterr().err
    assert (runs.unfinished(QUICK) / "checkpoint.pt").exists()
    (resumed,) = runs.run_missing([QUICK])
    assert (resumed.metrics, resumed.curves) == (whole.metrics, whole.curves)
    assert not runs.unfinished(QUICK).exists()


def test_what_has_left_its_checkpoint_is_tested_again_and_not_trained(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the tests that there are now; its record is the same otherwise, and the checkpoint stays."""
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *args, **kwargs: None)
        (whole,) = runs.run_missing([QUICK])
    (runs_folder / f"{QUICK.key}.json").write_text(
        (runs_folder / f"{QUICK.key}.json").read_text().replace('"accuracy"', '"another"')
    )
    (recorded,) = runs.run_missing([QUICK])
    assert "accuracy" not in recorded.metrics
    monkeypatch.setattr("marginface.training.loop.Loop.learn", lambda *args: pytest.fail("it was trained"))
    (again,) = runs.run_missing([QUICK, replace(QUICK, seed=7)], retest=True)
    assert (again.metrics, again.curves) == (whole.metrics, whole.curves)
    assert (runs.unfinished(QUICK) / "checkpoint.pt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_no_time_is_time_for_nothing(jobs: int, runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipes = [replace(QUICK, seed=seed) for seed in range(3)]
    assert runs.run_missing(recipes, jobs=jobs, limit=0) == []
    assert "The time is up" in capsys.readouterr().err
    assert len(runs.run_missing(recipes, jobs=jobs)) == 3


@pytest.mark.slow
def test_a_run_that_fails_does_not_keep_the_others_from_being_made(
    runs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = QUICK, replace(QUICK, lr=1e30, optimizer="sgd")
    with pytest.raises(ValueError, match="the loss is"):
        runs.run_missing([bad, good])
    assert runs.lookup(good) is not None
    assert "FAILED with NonFiniteLossError" in capsys.readouterr().err


def test_the_first_seed_of_every_row_comes_before_further_seeds() -> None:
    recipes = papers.by_worth(["arcface/table7", "iam/table2"], [3, 4])
    seeded = [r.seed for r in recipes if r.backbone not in ("Pixels", "Eigenfaces")]
    assert seeded == sorted(seeded)
    beds = ("lfw+cfp/first/64", "lfw+cfp/second/64", "lfw+cfp/first/112", "glyphs/1000/32", "glyphs/10000/32", "mnist")
    assert {r.data for r in recipes if r.seed == 3} == {*beds}
    assert papers.by_worth(["iam/table2"]) == papers.grids()["iam/table2"]


@pytest.mark.parametrize(("text", "seeds"), [("0-3", [0, 1, 2, 3]), ("5", [5]), ("0,2-3,2", [0, 2, 3])])
def test_seeds_are_written_as_ranges(text: str, seeds: list[int]) -> None:
    assert runs.seeds_of(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "-1", "3-", "1;2"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a list of seeds"):
        runs.seeds_of(text)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--jobs", "0"), "'0' is not a whole number from 1 on"),
        (("--seeds", "5-1"), "'5-1': 5-1 are no seeds, since 1 comes before 5"),
        (("--device", "abacus"), "invalid choice: 'abacus'"),
        (("--only", "iam/table9"), "did you mean 'iam/table"),
        (("--data-root", "nowhere"), "data root 'nowhere' (data_root) is not a folder"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    option: tuple[str, str],
    message: str,
    runs_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "nice", lambda by: None)
    monkeypatch.setattr(sys, "argv", ["runs", "--only", "iam/table2", "--jobs", "1", *option])
    if option[0] == "--data-root":  # which is seen when the first run looks for its data
        monkeypatch.setattr(runs, "lookup", lambda recipe: None)
    with pytest.raises(SystemExit) as refused:
        runs.main()
    assert refused.value.code in (1, 2)
    assert message in capsys.readouterr().err


def test_what_the_bench_is_to_have_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "nice", lambda by: None)
    monkeypatch.setattr(sys, "argv", ["runs", "--settings"])
    monkeypatch.setattr(papers.methods, "settled", lambda: "all is well")
    runs.main()
    assert capsys.readouterr().out == "all is well\n"


def test_times_are_written_with_their_unit() -> None:
    assert [runs.seconds_of(t) for t in ("90s", "10m", "1.5h")] == [90, 600, 5400]
    with pytest.raises(argparse.ArgumentTypeError, match="not a length of time"):
        runs.seconds_of("10")


def test_what_is_left_is_told_from_what_such_runs_took() -> None:
    todo = [replace(QUICK, seed=seed) for seed in range(4)]
    pace = runs.Pace(todo, jobs=2)
    pace._took = {("digits", QUICK.backbone, 1): 120.0}
    assert pace.left() == "about 4 min left"
    pace.started -= 60  # twice as fast as those
    pace.done.append(todo[0])
    assert pace.left() == "about 3 min left"
    pace.done += todo[1:]
    assert pace.left() == ""
