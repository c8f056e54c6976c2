"""What more characters cost: time and memory of a step of training with 1,000, 5,000 and 20,000 of them, as ratios.

    python benchmarks/glyphs.py                              the recipe of the book's grids
    python benchmarks/glyphs.py --margin InterFace           with the angles between class centres
    python benchmarks/glyphs.py --device cuda --batch 512
    python benchmarks/glyphs.py --csv                        what the book shows, in data/glyph_costs.csv

The network and the images are the same, and labels are drawn at random among so many classes: neither time nor memory depends
on which class an image is of, so the other characters need not be drawn. Times are medians of steps taken in turns, so that all
meet the same machine. Memory is what a process of its own holds at its peak over what it held before the learner was made.
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

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from marginface.book.machine import processor
from marginface.book.papers.glyphs import GLYPHS, SCALE
from marginface.data.align import normalise
from marginface.data.catalog import load
from marginface.data.files import writing
from marginface.data.types import FaceData
from marginface.margins import ArcFace, InterFace, Margin
from marginface.training.making import make_learner, make_optimizer
from marginface.training.recipes import Recipe

MARGINS: dict[str, Margin] = {"ArcFace": ArcFace(SCALE, 0.3), "InterFace": InterFace.did_ct(scale=SCALE, m=0.3)}
MEGABYTE = 2**20
OUT = Path(__file__).parents[1] / "data" / "glyph_costs.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, nargs="+", default=[1000, 5000, 20_000])
    parser.add_argument("--margin", choices=MARGINS, default="ArcFace")
    parser.add_argument("--batch", type=int, default=GLYPHS.batch_size)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--csv", action="store_true", help="write data/glyph_costs.csv, too")
    options = parser.parse_args()
    recipe = replace(GLYPHS, margin=MARGINS[options.margin], batch_size=options.batch)
    data = load(GLYPHS.data)
    assert isinstance(data, FaceData)
    assert isinstance(data.train, TensorDataset)
    each = data.train.tensors[0].nbytes / MEGABYTE * 1000 / data.num_classes
    data = replace(data, train=TensorDataset(*(part[: options.batch] for part in data.train.tensors)), tests={})
    counts = options.characters
    steps = {count: stepper(recipe, data, count, options.device) for count in counts}
    taken: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(options.steps + 1):  # the first to warm up
        for count, step in steps.items():
            taken[count].append(seconds(step, options.device))
    times = {count: statistics.median(own[1:]) for count, own in taken.items()}
    memory = {count: peak(recipe, data, count, options.device) for count in counts}
    print(f"{options.margin}, batch {options.batch}, {options.device}, {torch.get_num_threads()} threads")
    print(f"the images themselves take {each:.0f} MB a thousand characters")
    print(f"{'characters':>10}{'a step':>12}{'ratio':>8}{'memory':>12}{'ratio':>8}")
    lines = []
    for count in counts:
        ratios = times[count] / times[counts[0]], memory[count] / memory[counts[0]]
        measured = {"characters": count, "step_s": round(times[count], 4), "MB": round(memory[count]), "images_MB": round(each)}
        where = {"threads": torch.get_num_threads(), "device": processor() if options.device == "cpu" else options.device}
        lines.append({"loss": options.margin, "batch": options.batch} | measured | where | {"torch": torch.__version__})
        print(f"{count:>10,}{times[count]:>10.3f} s{ratios[0]:>7.2f}x{memory[count]:>9.0f} MB{ratios[1]:>7.2f}x")
    if options.csv:
        with writing(OUT) as file:
            file.write(pd.DataFrame(lines).to_csv(index=False).encode())


def stepper(recipe: Recipe, data: FaceData, classes: int, device: str) -> Callable[[], None]:
    """A step of the optimizer on a batch, forward and backward, with so many classes."""
    assert isinstance(data.train, TensorDataset)
    torch.manual_seed(0)
    learner = make_learner(recipe, replace(data, num_classes=classes)).to(device)
    optimizer = make_optimizer(recipe, learner)
    labels = torch.randint(classes, (recipe.batch_size,), device=device)
    images: Tensor = data.train.tensors[0][: recipe.batch_size].to(device)

    def step() -> None:
        x = normalise(images, recipe.normalisation).contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        learner(x, labels).backward()
        optimizer.step()

    return step


def seconds(run: Callable[[], None], device: str) -> float:
    started = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak(recipe: Recipe, data: FaceData, classes: int, device: str) -> float:
    """Megabytes that training needs beside the images: weights, momentum, gradients and what a step holds."""
    if device == "cpu":
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(_peak_on_cpu, recipe, data, classes).result()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step = stepper(recipe, data, classes, device)
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / MEGABYTE


def _peak_on_cpu(recipe: Recipe, data: FaceData, classes: int) -> float:
    stepper(replace(recipe, batch_size=2), data, 2, "cpu")()  # loads what is loaded once
    before, highest, done = _resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.002):
            highest = max(highest, _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    step = stepper(recipe, data, classes, "cpu")
    for _ in range(3):
        step()
    done.set()
    watcher.join()
    return (highest - before) / MEGABYTE


def _resident() -> int:
    """Bytes that this process holds in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
