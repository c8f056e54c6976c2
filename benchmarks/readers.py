"""How fast training images are read from a record file: RecordDataset against MXNet's own readers, on the same file.

    python benchmarks/readers.py --data ~/data/lfw          LFW's images, re-encoded at 112 × 112 into a temporary folder
    python benchmarks/readers.py                            the same from MARGINFACE_DATA, else synthetic images

Both give RGB bytes, decoded one at a time on one thread, in the order of the file and in a random one. The rates are medians of
several rounds in one process, taken in turns so that both meet the same machine; what counts is the ratio. The last row is a
DataLoader that makes batches against mxnet's ImageRecordIter, its reader in C++, each with the given number of workers.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from marginface.data.files import data_root
from marginface.data.images import encode_image, read_image
from marginface.data.recordio import RecordDataset, write_records

SIZE = 112


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of people with images, such as LFW's")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    try:
        mx = import_mxnet()
    except ImportError:
        print("nothing to compare with: mxnet is not installed (pip install '.[mxnet]')")
        return
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    root = data_root()
    folder = options.data or (root / "lfw" if root and (root / "lfw").is_dir() else None)
    with tempfile.TemporaryDirectory() as temporary:
        encoded = list(itertools.islice(encoded_images(folder), options.images))
        path = write_records(temporary, encoded, np.arange(len(encoded)) % 1000)
        kind = f"from {folder.name}" if folder else "synthetic"
        size = statistics.mean(len(image) for image in encoded)
        print(f"{len(encoded)} JPEGs of {SIZE} × {SIZE}, {kind}, {size:,.0f} bytes each; images a second on one thread")
        print(f"{'order':<24}{'mxnet':>10}{'marginface':>12}{'ratio':>8}")
        order = np.random.default_rng(0).permutation(len(encoded)).tolist()
        for name, indices in (("as in the file", range(len(encoded))), ("random", order)):
            report(name, one_by_one_by_mxnet(mx, path, indices), one_by_one(path, indices), len(encoded), options.rounds)
        name = f"batches, {options.workers} workers"
        report(name, batches_by_mxnet(mx, path, options.workers), batches(path, options.workers), len(encoded), options.rounds)


def report(name: str, theirs: Callable[[], None], ours: Callable[[], None], images: int, rounds: int) -> None:
    """A row of the table: medians over rounds taken in turns, after one to warm up."""
    taken = [(seconds(theirs), seconds(ours)) for _ in range(rounds + 1)][1:]
    slow, fast = (images / statistics.median(column) for column in zip(*taken, strict=True))
    print(f"{name:<24}{slow:>10,.0f}{fast:>12,.0f}{fast / slow:>7.2f}x", flush=True)


def seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def one_by_one(path: Path, indices: Any) -> Callable[[], None]:
    dataset = RecordDataset(path)

    def run() -> None:
        for index in indices:
            dataset[index]

    return run


def one_by_one_by_mxnet(mx: Any, path: Path, indices: Any) -> Callable[[], None]:
    reader = mx.recordio.MXIndexedRecordIO(str(path.with_suffix(".idx")), str(path), "r")

    def run() -> None:
        for index in indices:
            header, image = mx.recordio.unpack(reader.read_idx(index))
            mx.image.imdecode(image).wait_to_read()
            int(header.label)

    return run


def batches(path: Path, workers: int) -> Callable[[], None]:
    loader = DataLoader(RecordDataset(path), batch_size=128, shuffle=True, num_workers=workers, persistent_workers=workers > 0)

    def run() -> None:
        for images, _ in loader:
            images[0, 0, 0, 0].item()

    return run


def batches_by_mxnet(mx: Any, path: Path, workers: int) -> Callable[[], None]:
    reader = mx.io.ImageRecordUInt8Iter(
        path_imgrec=str(path),
        path_imgidx=str(path.with_suffix(".idx")),
        data_shape=(3, SIZE, SIZE),
        batch_size=128,
        shuffle=True,
        preprocess_threads=max(1, workers),
        verbose=False,
    )

    def run() -> None:
        reader.reset()
        for batch in reader:
            batch.data[0].wait_to_read()

    return run


def encoded_images(folder: Path | None) -> Iterator[bytes]:
    """JPEGs of quality 95, as in InsightFace's sets: the middle of photographs, or smooth noise."""
    if folder is None:
        numbers = np.random.default_rng(0)
        while True:
            coarse = numbers.integers(0, 256, (14, 14, 3), dtype=np.uint8)
            fine = numbers.integers(0, 24, (SIZE, SIZE, 3), dtype=np.uint8)
            yield encode_image(cv2.add(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), fine), ".jpg")
    for file in sorted(folder.glob("*/*.jpg")):
        image = read_image(file)
        top, left = image.shape[0] // 4, image.shape[1] // 4
        yield encode_image(cv2.resize(image[top:-top, left:-left], (SIZE, SIZE), interpolation=cv2.INTER_AREA), ".jpg")


def import_mxnet() -> Any:
    """mxnet 1.9 looks for numpy.bool, which NumPy had before 1.24 and has again since 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not hasattr(np, "bool"):
            np.bool = np.bool_  # type: ignore[attr-defined]
        import mxnet

        return mxnet


if __name__ == "__main__":
    main()
