"""How fast synthetic faces are drawn, beside reading the same images from JPEG with OpenCV, within one process.

    python benchmarks/synthetic.py
    python benchmarks/synthetic.py --device cuda

Rounds alternate between the two; the median counts. Both use one core, but for a GPU.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch

from marginface.data.synthetic import Synthetic

SIZES = [(112, 3), (112, 1), (56, 1)]


def seconds(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(size: int, channels: int, device: str, rounds: int = 7) -> None:
    count = 64 if device == "cpu" else 2048
    people = Synthetic(1_000_000, size=size, channels=channels)
    identity = torch.arange(count, device=device)
    images = people.images(identity, identity).permute(0, 2, 3, 1).cpu().numpy()
    files = [cv2.imencode(".jpg", image)[1] for image in images[:64]]
    flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    draws, reads = [], []
    for number in range(rounds):
        draws.append(seconds(lambda n=number: people.images(identity, identity + n), device) / count)  # type: ignore[misc]
        reads.append(seconds(lambda: np.stack([cv2.imdecode(file, flag) for file in files]), "cpu") / len(files))
    draw, read = statistics.median(draws), statistics.median(reads)
    print(f"{size}×{size}×{channels}: {1 / draw:,.0f} images/s drawn, {draw / read:.3g} times as long as JPEG takes to decode")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for size, channels in SIZES:
        compare(size, channels, device)


if __name__ == "__main__":
    main()
