"""Classes over processes: what a step of a head costs each of them, and the bytes that travel.

    python benchmarks/sharded.py                       100,000 classes on 1, 2 and 4 processes, all of them and a tenth
    python benchmarks/sharded.py --classes 1000000     some minutes, and 8 GB
    python benchmarks/sharded.py --classes 100000 1000000 --margins ArcFace --csv    what the book shows, in data/sharded.csv

Time is the processor's, of each process with one thread, so that other work on the machine counts for little; what is shown
is the process that took longest, over the time of the three products of all classes in one process. Memory is the peak
beyond what a process had before it made its head: weights, one gradient, and the rest. On a machine with fewer cores than
processes ratios of processor time are all that can be measured; what many GPUs would do, `marginface.book.scale` models.
"""

import argparse
import itertools
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor

from marginface.book.machine import processor
from marginface.data.files import writing
from marginface.margins import ArcFace, InterFace, Margin
from marginface.ranks import Ranks
from marginface.sharded import ShardedMarginHead

OUT = Path(__file__).parents[1] / "data" / "sharded.csv"
MARGINS: dict[str, Margin] = {"ArcFace": ArcFace(), "InterFace": InterFace.did_ct()}
Row = dict[str, float]


class Counted(Ranks):
    """It counts the bytes that this rank hands over: of a sum or a scattering its share, of a gathering its rows."""

    sent = 0

    def _reduced(self, tensor: Tensor, how: Any) -> Tensor:
        self.sent += tensor.nbytes
        return super()._reduced(tensor, how)

    def gather(self, tensor: Tensor, sizes: Any) -> Tensor:
        self.sent += tensor.nbytes
        return super().gather(tensor, sizes)

    def scatter(self, tensor: Tensor, sizes: Any) -> Tensor:
        self.sent += tensor.nbytes
        return super().scatter(tensor, sizes)


def formula(margin: Margin, samples: int, world: int, dim: int) -> int:
    """The bytes that a rank hands over in a step: rows there, gradients back; own cosines, max and sum; own directions."""
    rows = samples // world * (4 * dim + 8)
    return rows + 4 * samples * dim + 3 * 4 * samples + (4 * samples * dim if margin.needs_centres else 0)


def work(
    rank: int, world: int, meeting: str, margin: str, rate: float, classes: int, options: argparse.Namespace, results: Any
) -> None:
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
    torch.manual_seed(0)
    ranks, before = Counted(), _forget_peak()
    head = ShardedMarginHead(options.dim, classes, MARGINS[margin], group=ranks, sample_rate=rate)
    part = slice(options.samples * rank // world, options.samples * (rank + 1) // world)
    x, y = torch.randn(options.samples, options.dim)[part], torch.randint(classes, (options.samples,))[part]
    for _ in range(options.steps):
        head.weight.grad, ranks.sent, started = None, 0, time.process_time()
        head(x.detach().requires_grad_(), y).backward()
        seconds = time.process_time() - started
    results.put({"seconds": seconds, "MB": (_peak() - before) / 1e6, "sent": ranks.sent})


def _forget_peak() -> int:
    """What a process holds now, in bytes; the peak is counted from here on (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def measure(world: int, margin: str, rate: float, classes: int, options: argparse.Namespace) -> list[Row]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        arguments = (world, f"{folder}/meeting", margin, rate, classes, options, results)
        processes = [context.Process(target=work, args=(rank, *arguments)) for rank in range(world)]
        for process in processes:
            process.start()
        rows = [results.get() for _ in processes]
        for process in processes:
            process.join()
    return rows


def products(classes: int, options: argparse.Namespace) -> float:
    """Processor seconds of x·Wᵀ, g·W and gᵀ·x, a block of classes at a time."""
    torch.set_num_threads(1)
    x, w = torch.randn(options.samples, options.dim), torch.randn(min(classes, 50_000), options.dim)
    for _ in range(2):
        started = time.process_time()
        g = x @ w.T
        g @ w
        g.T @ x
        seconds = time.process_time() - started
    return seconds * classes / len(w)


def table(classes: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A line for each loss, share of classes and number of processes. It is printed, too."""
    bare, lines = products(classes, options), []
    size = f"C = {classes:,}, N = {options.samples}, d = {options.dim}"
    print(f"{size}; the three products {bare:.2f} s of one processor")
    print(f"{'':26}{'processes':>10}{'time / products':>17}{'MB a process':>14}{'sent, MB':>10}{'formula':>9}")
    for margin, rate, world in itertools.product(options.margins, options.rates, options.processes):
        rows = measure(world, margin, rate, classes, options)
        most = {key: max(row[key] for row in rows) for key in rows[0]}
        expected = formula(MARGINS[margin], options.samples, world, options.dim)
        name = f"{margin}, {'all' if rate == 1 else f'{rate:g} of'} classes"
        row = f"{name:26}{world:>10}{most['seconds'] / bare:>17.2f}{most['MB']:>14.0f}"
        print(f"{row}{most['sent'] / 1e6:>10.2f}{expected / 1e6:>9.2f}", flush=True)
        lines.append(
            {
                "head": margin,
                "classes": classes,
                "share": rate,
                "processes": world,
                "ratio": f"{most['seconds'] / bare:.3f}",
                "MB": f"{most['MB']:.0f}",
                "sent_MB": f"{most['sent'] / 1e6:.3f}",
                "formula_MB": f"{expected / 1e6:.3f}",
                "products_s": f"{bare:.3f}",
                "samples": options.samples,
                "dim": options.dim,
                "device": processor(),
                "torch": torch.__version__.split("+")[0],
            }
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--steps", type=int, default=2, help="of which the last counts")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--margins", nargs="+", default=list(MARGINS), choices=MARGINS)
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 0.1])
    parser.add_argument("--csv", action="store_true", help="write data/sharded.csv, too")
    options = parser.parse_args()
    lines = [line for classes in options.classes for line in table(classes, options)]
    if options.csv:
        with writing(OUT) as file:
            file.write(pd.DataFrame(lines).to_csv(index=False).encode())


if __name__ == "__main__":
    main()
