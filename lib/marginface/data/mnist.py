"""MNIST, from the canonical IDX files.

The format (http://yann.lecun.com/exdb/mnist/): two zero bytes, a type code (8 is unsigned byte), the number of dimensions,
each dimension as a big-endian 32-bit integer, then the values.
"""

import gzip
import hashlib
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pooch

from marginface.data import datasets
from marginface.data.files import DATA_ROOT, most_unpacked, printable, read_bytes
from marginface.data.types import DataMissingError, ImageData


def files() -> dict[str, datasets.File]:
    """The four canonical files by name: images and labels for training, then for testing."""
    return {file.name: file for file in datasets.find("mnist").files}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, plain or gzipped (told by content, not by name).

    Returns: uint8, in the shape that the header gives.
    Raises: ValueError naming the file for a wrong magic number, another type, a length that is not the header's, or one that
        is more than a file of its size can stand for. DataMissingError where there is no such file.
    """
    path = Path(path)
    content = read_bytes(path)
    if content[:2] != b"\x1f\x8b":
        return _read(io.BytesIO(content), len(content), path)
    try:
        return _read(gzip.GzipFile(fileobj=io.BytesIO(content)), len(content), path)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{printable(path)}: damaged gzip file ({error})") from error


def _read(file: io.BufferedIOBase, size: int, path: Path) -> np.ndarray:
    """Reads no more than the header promises, and believes that only up to a limit. `size` is that of the packed file."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0":
        raise ValueError(f"{printable(path)}: not an IDX file (it starts with {start.hex() or 'nothing'})")
    if start[2] != 8:
        raise ValueError(f"{printable(path)}: IDX type 0x{start[2]:02x}, only unsigned bytes (0x08) are read")
    if start[3] > 32:
        raise ValueError(f"{printable(path)}: {start[3]} dimensions, more than an array can have")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise ValueError(f"{printable(path)}: the IDX header is cut off after {4 + len(sizes)} bytes")
    shape = struct.unpack(f">{start[3]}I", sizes)
    expected = math.prod(shape)
    if expected > most_unpacked(size):
        raise ValueError(
            f"{printable(path)}: the header's shape {shape} needs {expected:,} bytes, too many for a file of {size:,}"
        )
    values = file.read(expected + 1)
    if len(values) != expected:
        found = "more" if len(values) > expected else f"{len(values):,}"
        raise ValueError(f"{printable(path)}: {found} bytes, but the header's shape {shape} needs {expected:,}")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def load(root: Path | None = None, *, fetch: bool = True) -> ImageData:
    """The 60,000 training and 10,000 test images, verified by sha256.

    They are looked for in `root`/mnist (gzipped or plain), then in pooch's cache, then fetched.
    Raises: ValueError for a file that is not the canonical one; DataMissingError where there is none and none can be fetched.
    """
    arrays = [read_idx(_locate(name, root, fetch)) for name in files()]
    train_images, train_labels, test_images, test_labels = arrays
    return ImageData(
        "mnist",
        "MNIST",
        10,
        train_images[:, None],
        train_labels.astype(np.int64),
        test_images[:, None],
        test_labels.astype(np.int64),
    )


def _locate(name: str, root: Path | None, fetch: bool) -> Path:
    file = files()[name]
    for known, sha256 in ((name, file.sha256), (name.removesuffix(".gz"), file.plain_sha256)):
        path = root / "mnist" / known if root else None
        if path and path.exists():
            found = hashlib.sha256(read_bytes(path)).hexdigest()
            if found != sha256:
                read_idx(path)  # a damaged file gets the more telling error
                raise ValueError(f"{printable(path)}: not the canonical MNIST file (sha256 {found[:12]}…, not {sha256[:12]}…)")
            return path
    cache = Path(pooch.os_cache("marginface")) / "mnist"
    if not fetch and not (cache / name).exists():
        raise DataMissingError(_missing(name, root))
    try:
        return datasets.retrieve(file, cache)
    except DataMissingError as error:
        raise DataMissingError(f"{_missing(name, root)}; {error}") from error


def _missing(name: str, root: Path | None) -> str:
    where = f"not in {printable(root / 'mnist')}" if root else f"no data root is set ({DATA_ROOT})"
    return f"MNIST file {name} is missing: {where}"
