"""MNIST, from the canonical IDX files.

The format (http://yann.lecun.com/exdb/mnist/): two zero bytes, a type code (8 is unsigned byte), the number of dimensions,
each dimension as a big-endian 32-bit integer, then the values.
"""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pooch

from marginface.data.catalog import DATA_ROOT, DataMissingError, ImageData

URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
# sha256 of the same files uncompressed, as some people keep them
PLAIN = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, plain or gzipped (told by content, not by name).

    Returns: uint8, in the shape that the header gives.
    Raises: ValueError naming the file for a wrong magic number, another type, or a length that is not the header's.
    """
    path = Path(path)
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error})") from error
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{path}: not an IDX file (it starts with {content[:4].hex() or 'nothing'})")
    if content[2] != 8:
        raise ValueError(f"{path}: IDX type 0x{content[2]:02x}, only unsigned bytes (0x08) are read")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{path}: the IDX header is cut off after {len(content)} bytes")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    expected = start + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise ValueError(f"{path}: {len(content)} bytes, but the header's shape {shape} needs {expected}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def load(root: Path | None = None, *, fetch: bool = True) -> ImageData:
    """The 60,000 training and 10,000 test images, verified by sha256.

    They are looked for in `root`/mnist (gzipped or plain), then in pooch's cache, then fetched.
    Raises: ValueError for a file that is not the canonical one; DataMissingError where there is none and none can be fetched.
    """
    arrays = [read_idx(_locate(name, root, fetch)) for name in FILES]
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
    candidates = {name: FILES[name], name.removesuffix(".gz"): PLAIN[name.removesuffix(".gz")]}
    if root is not None:
        for file, sha256 in candidates.items():
            path = root / "mnist" / file
            if path.exists():
                found = hashlib.sha256(path.read_bytes()).hexdigest()
                if found != sha256:
                    read_idx(path)  # a damaged file gets the more telling error
                    raise ValueError(f"{path}: not the canonical MNIST file (sha256 {found[:12]}…, not {sha256[:12]}…)")
                return path
    cache = Path(pooch.os_cache("marginface")) / "mnist"
    if not fetch and not (cache / name).exists():
        raise DataMissingError(_missing(name, root))
    try:
        return Path(pooch.retrieve(URL + name, f"sha256:{FILES[name]}", fname=name, path=cache))
    except OSError as error:  # every network error of requests and urllib is one
        raise DataMissingError(f"{_missing(name, root)}; fetching it failed: {type(error).__name__}") from error


def _missing(name: str, root: Path | None) -> str:
    where = f"not in {root / 'mnist'}" if root else f"no data root is set ({DATA_ROOT})"
    return f"MNIST file {name} is missing: {where}"
