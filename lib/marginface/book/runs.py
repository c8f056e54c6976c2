"""Recorded runs: make what is missing, and list what there is.

python -m marginface.book.runs                                what is missing, the first seed of every row first
python -m marginface.book.runs --only 'iam/*' --seeds 0-9     more seeds
python -m marginface.book.runs --limit 10m --jobs 2           for ten minutes; the next call goes on from there
python -m marginface.book.runs --pack                         makes none, and leaves out of records what no page reads
python -m marginface.book.runs --settings                     makes none, and says which of the bench's candidates err least
"""

import argparse
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from statistics import mean

import pandas as pd
import pooch
import torch

from marginface import training
from marginface.backbones.baselines import NAMES as FITTED
from marginface.book import descriptions, rehearsals
from marginface.book.records import RUNS, commit, folder, lookup, pack, stale, store
from marginface.book.workers import start_worker
from marginface.data.progress import track
from marginface.training import Run
from marginface.training.recipes import Recipe

SAVE_EVERY = 200  # steps between checkpoints: what is lost at most when a series of runs is cut off
ON_ONE_GPU = 8  # small trainings at once, whose time is mostly that of the processor that feeds them


class OutOfTime(BaseException):
    """The time that a series of runs was given is over. Nothing that catches errors may take it for one."""


@dataclass(frozen=True)
class Work:
    """A run to be made. The deadline is in seconds since the epoch."""

    recipe: Recipe
    device: str = "auto"
    root: str | Path | None = None
    force: bool = False
    deadline: float | None = None
    keep: bool = False  # the last checkpoint, since another run starts from it
    progress: bool = True


def run_missing(
    recipes: Sequence[Recipe],
    *,
    device: str = "auto",
    root: str | Path | None = None,
    force: bool = False,
    retest: bool = False,
    jobs: int = 1,
    limit: float | None = None,
) -> list[Run]:
    """The recipes' runs, trained and stored where there is no current record. Says on stderr what it does.

    A run that fails does not keep the others from being made.

    Arguments:
        force: whether to run again what is recorded.
        retest: whether to test again, and nothing else, what is recorded and needs no training or has left its last checkpoint:
            with the tests that its data has come to have since.
        jobs: how many to run at once, each with its share of the CPU's cores.
        limit: seconds after which to stop. What is under way then goes on from its checkpoint the next time.
    Raises: after the last run, what the first of those that failed has failed with.
    """
    if retest:
        kept = [r for r in recipes if r.backbone in FITTED or (unfinished(r) / "checkpoint.pt").exists()]
        todo = [recipe for recipe in kept if lookup(recipe) is not None]
    else:
        todo = [r for r in recipes if force or (run := lookup(r)) is None or stale(run, root)]
    deadline = None if limit is None else time.time() + limit
    pace = Pace(todo, jobs)
    if len(todo) > 1:
        say("; ".join(filter(None, (f"{len(todo)} runs to make, {jobs} at once", pace.left()))))
    errors, starts = [], {recipe.start for recipe in recipes}
    works = [Work(recipe, device, root, force, deadline, retest or recipe in starts, progress=jobs == 1) for recipe in todo]
    for work, future in _each(works, jobs):
        try:
            came = future.result()
        except OutOfTime:
            say("The time is up. What was under way goes on the next time.")
            break
        except Exception as error:
            errors.append(error)
            came = f"FAILED with {type(error).__name__}: {error}"
        pace.done.append(work.recipe)
        line = f"[{len(pace.done)}/{len(todo)}] {descriptions.describe(work.recipe)}: {came}"
        say("; ".join(filter(None, (line, pace.rate(), pace.left()))))
    if errors:
        say(f"{len(errors)} of {len(pace.done)} runs FAILED")
        raise errors[0]
    return [run for recipe in recipes if (run := lookup(recipe))]


def _each(works: list[Work], jobs: int) -> Iterator[tuple[Work, "Future[str]"]]:
    """Every work as it is done; the next is begun when one ends."""
    if jobs == 1:
        for work in works:
            yield work, _settled(make, work)
        return
    waiting = iter(works)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), start_worker, (jobs,)) as pool:
        running = {pool.submit(make, work): work for work in islice(waiting, jobs)}
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                for work in islice(waiting, 1):
                    running[pool.submit(make, work)] = work
                yield running.pop(future), future


def _settled(function: Callable[[Work], str], work: Work) -> "Future[str]":
    """What a process of a pool would hand back, done in this one."""
    future: Future[str] = Future()
    try:
        future.set_result(function(work))
    except (Exception, OutOfTime) as error:
        future.set_exception(error)
    return future


def make(work: Work) -> str:
    """Train a recipe and store the run; what it came to, in words. Raises: OutOfTime at the deadline."""
    commit()  # asked and remembered before the training, in which the code may be edited
    place = unfinished(work.recipe)
    if work.force:
        shutil.rmtree(place, ignore_errors=True)
    with _until(work.deadline):
        start = starting_point(work.recipe, work.device, work.root)
        run = training.train(
            work.recipe,
            data_root=work.root,
            device=work.device,
            start=start,
            out=place,
            save_every=SAVE_EVERY,
            progress=work.progress,
        )
        store(run)
    if not work.keep:
        shutil.rmtree(place, ignore_errors=True)
    return ", ".join(f"{name} {value:.4f}" for name, value in run.metrics.items())


@contextmanager
def _until(deadline: float | None) -> Iterator[None]:
    """Raise OutOfTime in the midst of what is done here, at the deadline."""
    if deadline is None:
        yield
        return
    if (seconds := deadline - time.time()) <= 0:
        raise OutOfTime

    def ring(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Pace:
    """How fast a series of runs gets on: by what recorded runs of their kind took, and by how this series goes."""

    todo: list[Recipe]
    jobs: int
    done: list[Recipe] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._took = _durations() if len(self.todo) > 1 else {}

    def rate(self) -> str:
        """How many runs an hour, once it can be told."""
        return f"{len(self.done) / (time.perf_counter() - self.started) * 3600:.0f} runs an hour" if len(self.done) > 1 else ""

    def left(self) -> str:
        """How long the rest may take; nothing where nothing is left or known."""
        ahead, passed = self._usual(self.todo[len(self.done) :]), self._usual(self.done)
        ahead *= (time.perf_counter() - self.started) / passed if passed else 1 / self.jobs
        return f"about {max(1, round(ahead / 60))} min left" if ahead else ""

    def _usual(self, recipes: Sequence[Recipe]) -> float:
        """Seconds that recipes take one after the other; those of an unknown kind take what others do."""
        other = mean(self._took.values()) if self._took else 1.0 if self.done else 0.0
        return sum(self._took.get((r.data, r.backbone, r.epochs), other) for r in recipes)


def _durations() -> dict[tuple[str, str, int], float]:
    """The mean seconds of the recorded runs by data, network and epochs."""
    took = defaultdict(list)
    for path in folder().glob("*.json"):
        try:
            record = json.loads(path.read_text())
            kind = tuple(record["recipe"][name] for name in ("data", "backbone", "epochs"))
            seconds = float(record["provenance"]["duration_s"])
        except (LookupError, OSError, RecursionError, TypeError, ValueError):
            continue  # whoever asks for this record is told that it is damaged
        took[kind].append(seconds)
    return {kind: mean(seconds) for kind, seconds in took.items()}


def unfinished(recipe: Recipe) -> Path:
    """Where the log and the checkpoint of a run are kept that others start from, or that may be cut off before its end.

    Below $MARGINFACE_RUNS, else in the user's cache.
    """
    place = Path(os.environ[RUNS]) if os.environ.get(RUNS) else Path(pooch.os_cache("marginface"))
    return place / "unfinished" / recipe.key


def starting_point(recipe: Recipe, device: str = "auto", root: str | Path | None = None) -> Path | None:
    """The checkpoint that a recipe starts from, trained and recorded where it is not there; None for one that starts afresh."""
    if recipe.start is None:
        return None
    place = unfinished(recipe.start)
    if not (place / "checkpoint.pt").exists() or lookup(recipe.start) is None:
        before = starting_point(recipe.start, device, root)
        store(training.train(recipe.start, data_root=root, device=device, out=place, start=before))
    return place / "checkpoint.pt"


def overview(grids: dict[str, list[Recipe]]) -> pd.DataFrame:
    """A line for every record that a notebook asks for: what it is, what came out, where, when and whether it still stands."""
    wanted: dict[Recipe, list[str]] = {}
    for name, recipes in grids.items():
        for recipe in recipes:
            wanted.setdefault(recipe, []).append(name)
    rehearsals.prepare(wanted)
    lines = []
    for recipe, names in wanted.items():
        run = lookup(recipe)
        line: dict[str, object] = {
            "record": recipe.key,
            "used by": ", ".join(names),
            "data": recipe.data,
            "backbone": recipe.backbone,
        }
        line |= {"loss": descriptions.loss(recipe), "seed": recipe.seed}
        if run is None:
            lines.append(line | {"state": "missing"})
            continue
        (measure, accuracy), origin = next(iter(run.metrics.items())), run.provenance
        lines.append(
            line
            | {
                "measure": measure,
                "%": f"{100 * accuracy:.2f}",
                "device": origin["device"],
                "seconds": f"{origin['duration_s']:.0f}",
            }
            | {"made": origin["created"][:10], "commit": (origin["commit"] or "–")[:8], "state": stale(run) or "current"}
        )
    return pd.DataFrame(lines).fillna("–")


def pack_all(reads: Mapping[Recipe, Collection[str] | None]) -> None:
    """Pack every record in the folder that a page asks for, by what is read of it; the others are left as they are."""
    known, found = {recipe.key: own for recipe, own in reads.items()}, list(folder().glob("*.json"))
    before, asked = sum(path.stat().st_size for path in found), [path for path in found if path.stem in known]
    for path in track(asked, "packing records"):
        pack(path, known[path.stem])
    after = sum(path.stat().st_size for path in found)
    say(f"{len(asked)} of {len(found)} records are packed: {before / 1e6:.1f} MB are {after / 1e6:.1f}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def at_least(least: int) -> Callable[[str], int]:
    """A whole number that is not less, for argparse."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return number

    return parse


def main() -> None:
    from marginface.book import papers
    from marginface.training.trainer import DEVICES  # with what trains, which readers of records do not load

    known = sorted(papers.grids())
    parser = argparse.ArgumentParser(prog="python -m marginface.book.runs", description="Run the book's recorded runs.")
    parser.add_argument("--only", metavar="NOTEBOOKS", default="*", help="such as iam/table2, or 'iam/*'")
    parser.add_argument("--seeds", type=seeds_of, help="such as 0-9 or 0,3,5, for every row; else those that the pages show")
    parser.add_argument("--limit", type=seconds_of, metavar="TIME", help="such as 10m: stop then and keep all that is done")
    parser.add_argument("--force", action="store_true", help="run again what is recorded")
    parser.add_argument("--retest", action="store_true", help="test again what is recorded and has left its last checkpoint")
    parser.add_argument("--pack", action="store_true", help="make none: take out of records what no page reads")
    parser.add_argument("--settings", action="store_true", help="make none: say which settings the bench's losses are to have")
    parser.add_argument(
        "--jobs", type=jobs_of, metavar="N", help="how many at once; else a core each, or some that share a GPU"
    )
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--data-root")
    options = parser.parse_args()
    wanted = [name for name in known for pattern in options.only.split(",") if fnmatch(name, pattern.strip())]
    if not wanted:
        near = get_close_matches(options.only, known, n=1, cutoff=0)[0]
        parser.error(f"no notebook of trainings is called {options.only!r}; did you mean {near!r}?")
    recipes = papers.by_worth(wanted, options.seeds)
    jobs = options.jobs or at_once(options.device)
    os.nice(10)  # what is worked on meanwhile comes first
    try:
        if options.pack:  # a record that cannot be read is named
            return pack_all(papers.reads())
        if options.settings:
            return print(papers.methods.settled())
        runs = run_missing(
            recipes,
            device=options.device,
            root=options.data_root,
            force=options.force,
            retest=options.retest,
            jobs=jobs,
            limit=options.limit,
        )
    except (ValueError, OSError) as error:
        parser.exit(1, f"{error}\n")
    say(f"{len(runs)} of {len(recipes)} runs are recorded in {folder()}")


def at_once(device: str) -> int:
    """How many small trainings to run at once: a core each, or some that share a GPU."""
    cores = os.cpu_count() or 1
    return min(cores, ON_ONE_GPU) if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else cores


def seeds_of(text: str) -> list[int]:
    """Seeds as written on a command line, such as 0-4,7. Raises: ValueError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        if not (found := re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of seeds such as 0-9 or 0,3,5")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise argparse.ArgumentTypeError(f"{text!r}: {part.strip()} are no seeds, since {last} comes before {first}")
        seeds += range(first, last + 1)
    return list(dict.fromkeys(seeds))


def jobs_of(text: str) -> int:
    """How many at once, as written on a command line. Raises: ValueError for anything else."""
    if not re.fullmatch(r"0*[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def seconds_of(text: str) -> float:
    """A length of time as written on a command line, such as 90s, 10m or 1.5h."""
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())):
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time such as 90s, 10m or 1.5h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


if __name__ == "__main__":
    main()
