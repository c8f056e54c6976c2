"""Time and memory of evaluation, as ratios within one process.

    python benchmarks/evaluation.py                        6,000 pairs, then a million distractors; some minutes on two cores
    python benchmarks/evaluation.py --distractors 200000

Verification, from embeddings to accuracy, ROC and TAR at FAR, is compared with loops through thresholds and folds, as the
public evaluation codes have them; the compatible mode gives the very numbers of these loops. Identification is compared
with the bare product of the same matrices in blocks whose results are thrown away; memory is the peak beyond probes and
distractors. Scores of mates are as high as a trained network's, or, the worst case, no higher than those of strangers.
Rounds alternate, medians count.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from marginface.evaluation.identification import megaface
from marginface.evaluation.verification import (
    insightface_accuracy,
    insightface_roc,
    insightface_tar_at_far,
    kfold_accuracy,
    pair_scores,
    roc,
    tar_at_far,
    unit,
)

DIM = 512
PAIRS = 6000
PROBES, PEOPLE = 3530, 80  # MegaFace's FaceScrub set
BLOCK = 16384


def loops(left: np.ndarray, right: np.ndarray, same: np.ndarray) -> tuple[list[float], float]:
    """What one would write first: accuracies over 10 folds by 400 thresholds, rates by 400 and TAR at FAR by 4,000."""
    distances = np.sum(np.square(left - right), axis=1)
    folds, accuracies, tars = np.arange(len(same)) * 10 // len(same), [], []
    for fold in range(10):
        train, test = folds != fold, folds == fold
        grid, fine = np.arange(0, 4, 0.01), np.arange(0, 4, 0.001)
        on_train = [_rates(distances[train] < threshold, same[train])[2] for threshold in grid]
        on_test = [_rates(distances[test] < threshold, same[test]) for threshold in grid]
        accuracies.append(on_test[int(np.argmax(on_train))][2])
        fars = [_rates(distances[train] < threshold, same[train])[1] for threshold in fine]
        threshold = np.interp(1e-3, fars, fine) if max(fars) >= 1e-3 else 0.0
        tars.append(_rates(distances[test] < threshold, same[test])[0])
    return accuracies, float(np.mean(tars))


def _rates(accepted: np.ndarray, same: np.ndarray) -> tuple[float, float, float]:
    """TAR, FAR, accuracy."""
    true_accepts, false_accepts = np.sum(accepted & same), np.sum(accepted & ~same)
    true_rejects, false_rejects = np.sum(~accepted & ~same), np.sum(~accepted & same)
    tar, far = true_accepts / (true_accepts + false_rejects), false_accepts / (false_accepts + true_rejects)
    return float(tar), float(far), float((true_accepts + true_rejects) / len(same))


def ours(left: np.ndarray, right: np.ndarray, same: np.ndarray) -> None:
    scores = pair_scores(left, right)
    kfold_accuracy(scores, same)
    roc(scores, same)
    tar_at_far(scores, same, 1e-3)


def compatible(left: np.ndarray, right: np.ndarray, same: np.ndarray) -> tuple[list[float], float]:
    insightface_roc(left, right, same)
    return insightface_accuracy(left, right, same).per_fold.tolist(), insightface_tar_at_far(left, right, same)[0]


def verification(rounds: int) -> None:
    numbers = np.random.default_rng(0)
    same = np.arange(PAIRS) // (PAIRS // 20) % 2 == 0
    left, right = numbers.normal(size=(2, PAIRS, DIM))
    right[same] = 0.2 * left[same] + right[same]
    left, right = unit(left), unit(right)
    assert loops(left, right, same) == compatible(left, right, same)
    seconds = _alternate({action.__name__: partial(action, left, right, same) for action in (loops, ours, compatible)}, rounds)
    print(f"\n{PAIRS} pairs, {DIM} numbers each\n{'':28}{'seconds':>10}{'faster':>10}")
    for name, value in seconds.items():
        print(f"{name:28}{value:10.4f}{seconds['loops'] / value:10.0f}")


def identification(likeness: float, distractors: int, rounds: int) -> dict[str, float]:
    """One row, in this process."""
    numbers = np.random.default_rng(0)
    labels = np.arange(PROBES) % PEOPLE
    directions = unit(numbers.normal(size=(PEOPLE, DIM)))[labels]
    probes = unit(likeness * directions + unit(numbers.normal(size=(PROBES, DIM)))).astype(np.float32)
    strangers = np.empty((distractors, DIM), dtype=np.float32)
    for start in range(0, distractors, BLOCK):
        block = strangers[start : start + BLOCK]
        block[:] = unit(numbers.standard_normal(block.shape, dtype=np.float32))
    x, out = torch.from_numpy(probes), torch.empty(PROBES, BLOCK)

    def product() -> None:
        for y in torch.from_numpy(strangers).split(BLOCK):
            torch.mm(x, y.T, out=out if len(y) == BLOCK else None)

    megaface(probes, labels, strangers[:100])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megaface(probes, labels, strangers)  # before any product: a page of `out` is counted only once written
    extra = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    seconds = _alternate({"ours": lambda: megaface(probes, labels, strangers), "product": product}, rounds)
    return {"ratio": seconds["ours"] / seconds["product"], "seconds": seconds["ours"], "extra": extra * 1024}


def _alternate(actions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median of each action's seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--distractors", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", type=float, metavar="LIKENESS", help="measure one row of identification, print it as JSON")
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(identification(options.one, options.distractors, options.rounds)))
        return
    verification(options.rounds)
    print(f"\n{PROBES} probes, {options.distractors:,} distractors, {DIM} numbers each")
    print(f"{'':28}{'seconds':>10}{'/ product':>10}{'extra MB':>10}")
    for name, likeness in {"a trained network's": 0.8, "mates no better than others": 0.0}.items():
        command = [sys.executable, __file__, "--one", str(likeness), "--distractors", str(options.distractors)]
        done = subprocess.run([*command, "--rounds", str(options.rounds)], capture_output=True, text=True, check=True)
        row = json.loads(done.stdout)
        print(f"{name:28}{row['seconds']:10.1f}{row['ratio']:10.2f}{row['extra'] / 1e6:10.0f}", flush=True)


if __name__ == "__main__":
    main()
