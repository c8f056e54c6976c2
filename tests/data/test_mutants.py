"""Thousands of damaged files of every kind, read in a process of their own, which must neither die nor need much memory.

What a reader cannot read is a ValueError that names it, and nothing else. The mutants come from a seed.
"""

import json
import pickle
import random
import resource
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.data import test_archives, test_images, test_lists, test_mnist

from marginface.book import packing
from marginface.data import lists, mnist, pairs
from marginface.data.archives import extract
from marginface.data.bins import load_bin
from marginface.data.images import encode_image, read_image
from marginface.data.recordio import RecordDataset, write_records
from marginface.data.types import DataWarning

MUTANTS = 200  # of each kind of file
MEMORY = 3 * 2**29  # bytes beside what the modules take: what the smallest files are allowed to stand for, and its copies
ROOT = Path(__file__).parents[2]
KINDS = ("images", "lists", "sets", "archives")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_mutants_end_no_process(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.data.test_mutants", kind, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    *_, last = done.stdout.splitlines() or ["the first one"]
    assert done.returncode == 0, f"ended with {done.returncode} by {last}: {done.stderr[-2000:]}"
    lines = done.stderr.splitlines()
    assert [line for line in lines if not line.startswith("libpng ")] == [], "decoders' own lines, which name no file"
    assert not lines or kind == "images", "those of libpng are of PNGs that have right checksums and wrong content"
    counts = json.loads(last)
    assert len(counts) > 5
    for name, (read, refused) in counts.items():
        assert read + refused == MUTANTS
        assert refused, f"every mutant of {name} was read"


def mutant(content: bytes, numbers: random.Random) -> bytes:
    """The content with one to four things wrong."""
    changed = bytearray(content)
    for _ in range(numbers.randint(1, 4)):
        at, end = sorted(numbers.randrange(len(changed) + 1) for _ in range(2))
        word = numbers.choice((b"", b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"9" * 20))
        match numbers.randrange(6):
            case 0 if changed:
                changed[at - 1] = numbers.randrange(256)
            case 1 if changed:
                changed[at - 1] ^= 1 << numbers.randrange(8)
            case 2:
                changed[at : at + len(word)] = word
            case 3:
                changed[at:at] = word
            case 4:
                changed[at:at] = changed[at : min(end, at + 64)] * numbers.choice((1, 2, 50))
            case 5:
                del changed[at : at + numbers.choice((1, 4, 30, len(changed)))]
    return bytes(changed)


def images(folder: Path) -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    """Of all kinds, animated ones among them."""
    seeds = dict(test_images.SEEDS)
    seeds |= {"palette": palette(), "16 bits": cv2.imencode(".png", np.full((5, 6), 40_000, np.uint16))[1].tobytes()}
    return {name: (seed, read_image) for name, seed in seeds.items()}


def palette() -> bytes:
    header = test_images.chunk(b"IHDR", (8).to_bytes(4, "big") * 2 + bytes([8, 3, 0, 0, 1]))
    colours = test_images.chunk(b"PLTE", bytes(range(24))) + test_images.chunk(b"tRNS", bytes(8))
    data = test_images.chunk(b"IDAT", zlib.compress(bytes(8 * 9 * 2)))
    return b"\x89PNG\r\n\x1a\n" + header + colours + data + test_images.chunk(b"IEND")


def text(folder: Path) -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    """Lists and tables."""
    lfw = "2\t2\n" + "Ann\t1\t2\nBo\t1\t3\nAnn\t1\tBo\t2\nBo\t3\tAnn\t1\n" * 2
    people = "2\n2\nAnn\t3\nBo\t1\n1\nCy\t2\n"
    seeds: dict[str, tuple[str, Callable[[Path], Any]]] = {
        "ijb_media": ("1.jpg 1 69544\n2.jpg 1 69544\n", lists.ijb_media),
        "ijb_pairs": ("1 11065 1\n2 7 0\n", lists.ijb_pairs),
        "ijb_landmarks": (test_lists.POINTS * 3, lists.ijb_landmarks),
        "ijb_metadata": (test_lists.CSV, lists.ijb_metadata),
        "image_list": (json.dumps({"path": ["A B/A_1.png", "C/C_2.png"], "id": ["A B", 7]}), lists.image_list),
        "lfw_pairs": (lfw, pairs.lfw_pairs),
        "lfw_people": (people, pairs.lfw_people),
        "ytf_pairs": ("1, 1, Ann/1, Bo/2, 0\n2, 2, Ann/1, Ann/3, 1\n", pairs.ytf_pairs),
    }
    return {name: (seed.encode(), read) for name, (seed, read) in seeds.items()}


def sets(folder: Path) -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    """Record files, verification sets, MNIST's files, arrays of records."""
    encoded = [encode_image(test_images.IMAGE, kind) for kind in (".png", ".jpg", ".png", ".jpg")]
    seeds: dict[str, tuple[bytes, Callable[[Path], Any]]] = {}
    for identities in (False, True):
        place = folder / f"identities {identities}"
        write_records(place, encoded, [0, 0, 1, 1], identities=identities)
        for name in ("train.rec", "train.idx", "property"):
            seeds[f"{name} {identities}"] = (place / name).read_bytes(), _record_reader(place, name)
    for protocol in (0, 2, 4, 5):
        content = encoded, np.array([True, False]) if protocol % 4 else [True, False]
        seeds[f"bin {protocol}"] = pickle.dumps(content, protocol), load_bin
    seeds["idx"] = test_mnist.idx(test_mnist.IMAGES), mnist.read_idx
    seeds["idx.gz"] = test_mnist.GZIPPED, mnist.read_idx
    arrays = {"a": np.arange(40) % 3 == 0, "b": np.arange(12, dtype=np.float32).reshape(3, 4)}
    seeds["arrays"] = json.dumps(packing.pack(arrays)).encode(), _unpack
    return seeds


def _record_reader(place: Path, name: str) -> Callable[[Path], Any]:
    def read(mutated: Path) -> None:
        whole = (place / name).read_bytes()
        (place / name).write_bytes(mutated.read_bytes())
        try:
            dataset = RecordDataset(place)
            for i in range(min(len(dataset), 50)):
                _ = dataset[i]
            _ = dataset.labels
        except ValueError as error:
            assert str(place) in str(error), error  # noqa: PT017
            raise ValueError(f"{mutated}: {error}") from error
        finally:
            (place / name).write_bytes(whole)

    return read


def _unpack(path: Path) -> None:
    """As records do, which name the file."""
    try:
        packing.unpack(json.loads(path.read_bytes()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def archives(folder: Path) -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    members: list[tuple[str, bytes | None]] = [
        ("set/a.txt", b"one"),
        ("set/b.txt", b"two" * 100),
        ("x" * 120, b""),
        ("c", None),
    ]
    seeds: dict[str, tuple[bytes, Callable[[Path], Any]]] = {}
    places = (folder / f"out {i}" for i in range(10**6))

    def unpack(path: Path) -> None:
        extract(path, next(places))

    seeds["zip"] = test_archives.zipped(folder / "archive", members).read_bytes(), unpack
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        seeds[f"tar {mode}"] = test_archives.tar(folder / "archive", members, mode).read_bytes(), unpack
    seeds["tar of old"] = test_archives.tar(folder / "archive", members[:2], "w").read_bytes(), unpack
    return seeds


def main(kind: str, folder: Path) -> None:
    """Reads mutants and prints which one is read, and at the end of each kind of file how many were read and refused."""
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DataWarning)
    seeds = dict(zip(KINDS, (images, text, sets, archives), strict=True))[kind](folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if Path("/proc").exists() else 0
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    counts = {}
    for name, (seed, read) in seeds.items():
        counts[name] = [0, 0]
        for i in range(MUTANTS):
            numbers = random.Random(f"{name} {i}")
            content = mutant(seed, numbers)
            if numbers.random() < 0.5:
                content = test_images._with_checksums(content)
            path = folder / "mutant"
            path.write_bytes(content)
            print(f"mutant {i} of {name}", flush=True)
            try:
                read(path)
                counts[name][0] += 1
            except ValueError as error:
                assert str(path) in str(error), error  # noqa: PT017
                counts[name][1] += 1
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
