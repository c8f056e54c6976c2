"""A training set in several record files, read in random order from the disk: 20,971 characters as classes, a million images.

    python benchmarks/records_at_size.py                              draws for a quarter of an hour, writes, reads
    python benchmarks/records_at_size.py --characters 1000            in a minute or two
    python benchmarks/records_at_size.py --csv                        what the book shows, in data/reading.csv
    python benchmarks/records_at_size.py --folder glyphs-20971        keep the set there, to train on: --data glyphs-20971

Batches come in order, in random order, and in random order of blocks (`block` in a recipe). Before each way of reading the
system is asked to forget what it holds of the files. Rates are medians of rounds in one process, on one thread, taken in turns;
what counts is the ratio. Memory is what the process holds more than before it opened the set.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from marginface.book.machine import processor
from marginface.data.batches import Batches, BlockBatches
from marginface.data.files import writing
from marginface.data.glyphs import BLOCK, Drawings
from marginface.data.progress import Meter
from marginface.data.record_parts import RecordParts, record_parts, write_record_parts
from marginface.data.typefaces import typefaces

OUT = Path(__file__).parents[1] / "data" / "reading.csv"
SIZE, BATCH = 32, 512


class InOrder(Batches):
    """As the files have them."""

    def _order(self) -> torch.Tensor:
        return torch.arange(self.samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, default=20_971)
    parser.add_argument("--part", type=int, default=200_000, help="images a file")
    parser.add_argument("--folder", type=Path, help="where the set is kept; it is used if it is there")
    parser.add_argument("--batches", type=int, default=40, help=f"read in a round, of {BATCH} images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--csv", action="store_true", help="write data/reading.csv, too")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not record_parts(folder):
            write(folder, options.characters, options.part)
        lines = measure(folder, options.batches, options.rounds)
    if options.csv:
        with writing(OUT) as file:
            file.write(pd.DataFrame(lines).to_csv(index=False).encode())


def write(folder: Path, characters: int, part: int) -> None:
    """The set, character by character; some hundred of them are in memory at a time."""
    drawings = Drawings(typefaces(), None, SIZE, draw=True)
    codes = drawings.ordered[:characters]
    blocks = [codes[start : start + BLOCK] for start in range(0, len(codes), BLOCK)]
    label_of = {code: label for label, code in enumerate(codes.tolist())}
    labels = [label_of[code] for block in blocks for code in drawings.read(block).code.tolist()]
    started = time.perf_counter()
    with Meter("writing records, images", len(labels)) as meter:

        def images() -> Iterator[np.ndarray]:
            for block in blocks:
                read = drawings.read(block).images
                yield from read
                meter.update(len(read))

        write_record_parts(folder, images(), labels, part, kind=".png")
    print(f"written in {time.perf_counter() - started:,.0f} s, with what is read from the drawings' cache")


def measure(folder: Path, batches: int, rounds: int) -> list[dict[str, object]]:
    """A line for each way of reading. It is printed, too."""
    files = [path / "train.rec" for path in record_parts(folder)]
    before, started = held(), time.perf_counter()
    records = RecordParts(folder)
    labels = records.labels
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    print(f"{len(records):,} images of {records.num_classes:,} classes; {len(files)} files, {megabytes:,.0f} MB together")
    print(f"opened in {time.perf_counter() - started:.1f} s; index and labels hold {held() - before:,.0f} MB")
    ways = {"in order": InOrder, "random": Batches, "blocks": BlockBatches}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, kind in ways.items():
            forget(files)
            some = iter(kind(len(labels), BATCH, torch.Generator().manual_seed(number)))
            started = time.perf_counter()
            for _ in range(batches):
                for index in next(some):
                    records[index]
            rates[name].append(batches * BATCH / (time.perf_counter() - started))
    print(f"{'images a second':<24}{'':>10}{'in order = 1':>14}")
    medians = {name: statistics.median(found[1:]) for name, found in rates.items()}  # the first to warm up
    for name, rate in medians.items():
        print(f"{name:<24}{rate:>10,.0f}{rate / medians['in order']:>14.2f}")
    print(f"after it, {held() - before:,.0f} MB")
    size = {"images": len(records), "classes": records.num_classes, "files": len(files), "set_MB": round(megabytes)}
    each = {"held_MB": round(held() - before), "batches": batches, "rounds": rounds, "device": processor()}
    return [{"order": name, "images_s": round(rate), **size, **each} for name, rate in medians.items()]


def forget(files: list[Path]) -> None:
    """The system's copy of what is on the disk."""
    for file in files:
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def held() -> float:
    """The memory of this process, in MB; Linux says so."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
