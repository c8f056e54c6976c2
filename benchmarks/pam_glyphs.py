"""PAM on classes of glyphs: whether its ranges are the ranges, its pairs the nearest classes, and what a step costs.

    python benchmarks/pam_glyphs.py                                    1,000, 5,000 and 20,000 characters
    python benchmarks/pam_glyphs.py --characters 1000 --steps 300      in a minute
    python benchmarks/pam_glyphs.py --characters 1000 5000 --csv       what the book shows, in data/pam_glyphs.csv

A network is trained on the first thousand characters with AM-Softmax, and embeds ten drawings each of all of them. A class is a
character: its weight is the mean direction of its drawings, to which class weights converge (PAM §3). Through some epochs of
batches in random order, PAM follows the ranges; the truth is each class's farthest drawing. Times are the processor's, medians
of steps taken in turns, PAM's beside those of the base loss, forward and backward; memory is the peak of a process of its own,
less the gradient.
Characters that have not been drawn are drawn first, some two thousand a minute.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import TensorDataset

from marginface.adjacent import PAM, narrowest_pairs, nearest_neighbours
from marginface.book.machine import processor
from marginface.book.papers.glyphs import GLYPHS, MATCHED
from marginface.data.catalog import load
from marginface.data.files import writing
from marginface.data.types import FaceData
from marginface.heads import MarginHead
from marginface.training import train
from marginface.training.testing import embed

EACH, BATCH, EPOCHS = 10, 128, 3
SAMPLES_UP_TO = 5000  # classes whose drawings are all compared with each other
MEGABYTE = 2**20
OUT = Path(__file__).parents[1] / "data" / "pam_glyphs.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, nargs="+", default=[1000, 5000, 20_000])
    parser.add_argument("--steps", type=int, help="of the training; all 981 where it is not given")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--csv", action="store_true", help="write data/pam_glyphs.csv, too")
    options = parser.parse_args()
    first = load(GLYPHS.data)
    assert isinstance(first, FaceData)
    recipe = replace(GLYPHS, margin=MATCHED["CosFace"])
    run = train(recipe, replace(first, tests={}), max_steps=options.steps, device="cpu")
    assert run.learner is not None
    print(f"{torch.get_num_threads()} threads; the network was trained for {run.provenance['steps']:,} steps")
    shared = {
        "steps": run.provenance["steps"],
        "threads": torch.get_num_threads(),
        "device": processor(),
    }
    lines = []
    for count in options.characters:
        data = load(f"glyphs/{count}/{GLYPHS.data.rsplit('/', 1)[1]}")
        assert isinstance(data, FaceData)
        x, y = embedded(run.learner.backbone, data)
        lines.append(shared | report(count, x, y) | cost(x, y, options.runs))
        print("".join(f"{name} {value:,.3f}\n" for name, value in lines[-1].items() if not isinstance(value, str)))
    if options.csv:
        with writing(OUT) as file:
            file.write(pd.DataFrame(lines).to_csv(index=False, float_format="%.6g").encode())


def embedded(backbone: torch.nn.Module, data: FaceData) -> tuple[Tensor, Tensor]:
    """Unit embeddings (N, d) of up to ten drawings of every character, and its number (N,)."""
    assert isinstance(data.train, TensorDataset)
    images, labels = data.train.tensors
    order = labels.argsort(stable=True)
    place = torch.arange(len(order)) - torch.searchsorted(labels[order], labels[order])
    chosen = order[place < EACH]
    return F.normalize(embed(backbone, images[chosen], GLYPHS.normalisation, what="embedding")), labels[chosen]


def centres(x: Tensor, y: Tensor) -> Tensor:
    """(C, d) the mean direction of every class."""
    return F.normalize(x.new_zeros(int(y.max()) + 1, x.shape[1]).index_add_(0, y, x))


def report(count: int, x: Tensor, y: Tensor) -> dict[str, float]:
    """How near ranges and pairs are to the truth: angles in degrees, and shares."""
    W = centres(x, y)
    cosine = (x * W[y]).sum(dim=1)
    true = torch.ones(len(W)).scatter_reduce_(0, y, cosine, "amin")
    followed = follow(cosine, y, len(W))
    apart = np.degrees(followed.acos() - true.acos())
    low, high = np.quantile(apart, [0.05, 0.95])
    ours, theirs = (pairs(narrowest_pairs(W, R)) for R in (followed, true))
    both = nearest_neighbours(W, followed)[1].view(-1, 2)
    nearest = (W @ W.T).fill_diagonal_(-1).argmax(dim=1)
    found = {
        "characters": count,
        "drawings": len(x),
        "farthest": float(true.acos().rad2deg().median()),
        "range_mean": float(apart.mean()),
        "range_low": low,
        "range_high": high,
        "range_correlation": np.corrcoef(true.numpy(), followed.numpy())[0, 1],
        "v1_pairs": len(ours),
        "v1_right": len(ours & theirs) / len(ours),
        "v1_classes": np.unique(list(ours)).size / count,
        "v2_nearest_centre": has(both, nearest),
    }
    if count <= SAMPLES_UP_TO:
        drawn = nearest_by_samples(x, y)
        found |= {"v2_nearest_drawing": has(both, drawn), "centre_nearest_drawing": has(nearest[:, None], drawn)}
    return found


def has(several: Tensor, one: Tensor) -> float:
    """The share of rows (C, k) that have the one (C,)."""
    return float((several == one[:, None]).any(dim=1).double().mean())


def follow(cosine: Tensor, y: Tensor, classes: int) -> Tensor:
    """PAM's R (C,) after some epochs of batches."""
    pam, numbers = PAM(1.0), torch.Generator().manual_seed(0)
    pam.bind(2, classes)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(y), generator=numbers).split(BATCH):
            pam.update(cosine[batch], y[batch])
    return pam.R


def pairs(found: tuple[Tensor, Tensor]) -> set[tuple[int, int]]:
    return {(max(a, b), min(a, b)) for a, b in zip(*(part.tolist() for part in found), strict=True)}


def nearest_by_samples(x: Tensor, y: Tensor) -> Tensor:
    """(C,) the class of the drawing that is nearest to any of a class's own."""
    classes = int(y.max()) + 1
    best, owner = torch.full((classes,), -1.0), torch.zeros(classes, dtype=torch.int64)
    for part, own in zip(x.split(1024), y.split(1024), strict=True):
        cosines = (part @ x.T).masked_fill_(own[:, None] == y, -1.0)
        value, where = cosines.max(dim=1)
        for k in value.argsort().tolist():  # the last one written is the largest
            if value[k] > best[own[k]]:
                best[own[k]], owner[own[k]] = value[k], y[where[k]]
    return owner


def cost(x: Tensor, y: Tensor, runs: int) -> dict[str, float]:
    """Seconds of a step of the base loss's head, and each version's time by it and megabytes beside it."""
    steps = {name: stepper(name, x, y) for name in ("base", "version 1", "version 2")}
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(runs + 1):  # the first to warm up
        for name, step in steps.items():
            started = time.process_time()
            step()
            taken[name].append(time.process_time() - started)
    times = {name: statistics.median(own[1:]) for name, own in taken.items()}
    found = {"base_s": times["base"]}
    for short, name in (("v1", "version 1"), ("v2", "version 2")):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            extra = pool.submit(peak, name, x, y).result()
        found |= {f"{short}_times": times[name] / times["base"], f"{short}_MB": extra}
    return found


def stepper(name: str, x: Tensor, y: Tensor) -> Callable[[], None]:
    """A step of the head, forward and backward: the base loss of a batch, or PAM alone with ranges as they were followed."""
    W = centres(x, y)
    if name == "base":
        margin = MATCHED["CosFace"]
        head = MarginHead(x.shape[1], len(W), margin)
        head.weight.data = W.clone()
        return lambda: head(x[:BATCH].clone().requires_grad_(), y[:BATCH]).backward()
    pam = PAM(1.0, version=1 if name == "version 1" else 2)
    pam.R = follow((x * W[y]).sum(dim=1), y, len(W))
    weight = W.clone().requires_grad_()

    def step() -> None:
        weight.grad = None
        pam.penalty(weight).backward()

    return step


def peak(name: str, x: Tensor, y: Tensor) -> float:
    """Megabytes that a step needs at its peak, less the gradient of the class weights."""
    step = stepper(name, x, y)
    before, most, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    step()
    done.set()
    watcher.join()
    return (most - before - centres(x, y).nbytes) / MEGABYTE


def resident() -> int:
    """Bytes that this process holds in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
