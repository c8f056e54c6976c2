"""What PAM costs: its time over that of one product of all class weights with each other, and its memory.

    python benchmarks/adjacent.py                     VGGFace2's 8,631 classes
    python benchmarks/adjacent.py --classes 85742     MS1MV2's, with a product that is itself done in blocks

Times are medians of several runs in one process; what counts is the ratio. Memory is the peak of a process of its own over
what it held before, less the gradient of the class weights, which any loss has.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from marginface.adjacent import PAM

RANGES = {"1, as at the start": (1.0, 1.0), "0.5 to 0.9": (0.5, 0.9), "-0.6 to 0.8, much overlap": (-0.6, 0.8)}
MEGABYTE = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=8631)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    P, d, device = options.classes, options.dim, options.device

    print(f"P={P:,} d={d} on {device}, {torch.get_num_threads()} threads; one product is P x P x d")
    print(f"{'version':<8}{'class ranges':<27}{'product':>10}{'PAM, both ways':>16}{'ratio':>8}{'extra memory':>15}")
    for version in (1, 2):
        for ranges in RANGES:
            product, pam = times(version, ranges, P, d, device, options.runs)
            extra = in_own_process(version, ranges, P, d) if device == "cpu" else peak_on_gpu(version, ranges, P, d)
            row = f"{version:<8}{ranges:<27}{product:>8.3f} s{pam:>14.3f} s{pam / product:>7.2f}x{extra:>12.0f} MB"
            print(row, flush=True)


def times(version: int, ranges: str, P: int, d: int, device: str, runs: int) -> tuple[float, float]:
    """Median seconds of the product, and of PAM forward and backward, taken in turns so that both meet the same machine."""
    weights, pam = class_weights(P, d, device), make_pam(version, ranges, P, device)
    stripe = torch.empty(min(P, 2048), P, device=device)
    product, both = [], []
    for _ in range(runs + 1):  # the first to warm up
        product.append(seconds(lambda: multiply(weights.detach(), stripe), device))
        both.append(seconds(lambda: step(pam, weights), device))
    return statistics.median(product[1:]), statistics.median(both[1:])


def class_weights(P: int, d: int, device: str) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(P, d, device=device).requires_grad_()


def make_pam(version: int, ranges: str, P: int, device: str) -> PAM:
    low, high = RANGES[ranges]
    pam = PAM(1.0, version=version)  # type: ignore[arg-type]
    pam.R = (low + (high - low) * torch.rand(P)).to(device)
    return pam


def step(pam: PAM, weights: Tensor) -> None:
    weights.grad = None
    pam.penalty(weights).backward()


def multiply(weights: Tensor, out: Tensor) -> None:
    """All of W·Wᵀ, one stripe of rows after the other into the same memory: fits at any P, and is as fast as it can be."""
    for stripe in weights.split(len(out)):
        torch.mm(stripe, weights.T, out=out[: len(stripe)])


def seconds(run: Callable[[], None], device: str) -> float:
    started = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def in_own_process(version: int, ranges: str, P: int, d: int) -> float:
    """Megabytes that a step needs on the CPU."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(peak_on_cpu, version, ranges, P, d).result()


def peak_on_cpu(version: int, ranges: str, P: int, d: int) -> float:
    step(make_pam(version, ranges, 64, "cpu"), class_weights(64, d, "cpu"))  # loads what is loaded once
    weights, pam = class_weights(P, d, "cpu"), make_pam(version, ranges, P, "cpu")
    before, peak, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    step(pam, weights)
    done.set()
    watcher.join()
    return (peak - before - weights.nbytes) / MEGABYTE


def resident() -> int:
    """Bytes that this process holds in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def peak_on_gpu(version: int, ranges: str, P: int, d: int) -> float:
    weights, pam = class_weights(P, d, "cuda"), make_pam(version, ranges, P, "cuda")
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step(pam, weights)
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before - weights.nbytes) / MEGABYTE


if __name__ == "__main__":
    main()
