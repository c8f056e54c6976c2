"""InsightFace's .bin verification sets: a pickle of (2P encoded images, P booleans), written by Python 2 or 3.

Pair i compares images 2i and 2i + 1. An image is a string of bytes or a NumPy array of them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from marginface.data.damage import counted
from marginface.data.files import most_unpacked, printable, read_bytes
from marginface.data.images import check_size, decode_image
from marginface.data.pickles import read_pickle
from marginface.data.progress import track


@counted()
def load_bin(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The images and the answers in a .bin file. Nothing that the pickle names is called (see `pickles`).

    Returns: images (2P, H, W, 3) uint8 RGB and same (P,) bool.
    Raises: ValueError naming the file, and the record where it is one: a pickle that is damaged or holds anything else,
        images that cannot be decoded or differ in size, or take more memory than a file of its size can stand for, another
        number of answers than of pairs.
    Warns: DataWarning where images are damaged that can be decoded.
    """
    encoded, same, size_of_file = _read(path)
    first = _decode(encoded[0], f"{printable(path)}, image 0")
    if (size := len(encoded) * first.nbytes) > most_unpacked(size_of_file):  # one image may stand there a million times
        claim = f"{len(encoded)} images of {first.shape} are {size:,} bytes, too many for a file of {size_of_file:,}"
        raise ValueError(f"{printable(path)}: {claim}")
    images = np.empty((len(encoded), *first.shape), np.uint8)
    for i in track(range(len(encoded)), f"reading {printable(Path(path).name)}"):
        image = _decode(encoded[i], f"{printable(path)}, image {i}")
        check_size(image.shape[:2], first.shape[:2], f"{printable(path)}, image {i}")
        images[i] = image
    return images, same


def encoded_pairs(path: str | Path) -> tuple[list[bytes], np.ndarray]:
    """The encoded images (2P) and the answers (P,) bool of a .bin file, as they are. Raises: ValueError as `load_bin`."""
    encoded, same, _ = _read(path)
    return [_as_bytes(image, f"{printable(path)}, image {i}") for i, image in enumerate(encoded)], same


def _read(path: str | Path) -> tuple[Any, np.ndarray, int]:
    file = read_bytes(path)
    try:
        encoded, answers = _sequences(read_pickle(file))
        same = _booleans(answers)
    except ValueError as error:
        raise ValueError(f"{printable(path)}: not a verification set: {error}") from error
    if len(encoded) != 2 * len(same) or not len(same):
        raise ValueError(
            f"{printable(path)}: {len(encoded)} images for {len(same)} pairs, expected two each and at least one pair"
        )
    return encoded, same, len(file)


def _sequences(content: Any) -> tuple[Any, Any]:
    if not isinstance(content, tuple | list) or len(content) != 2:
        raise ValueError(f"expected a pair of lists, got {_kind(content)}")
    for part in content:
        if not isinstance(part, tuple | list | np.ndarray) or (isinstance(part, np.ndarray) and not part.ndim):
            raise ValueError(f"expected a pair of lists, got {_kind(part)} in it")
    return content[0], content[1]


def _booleans(answers: Any) -> np.ndarray:
    for i, answer in enumerate(answers):
        if not isinstance(answer, bool | int | np.bool_ | np.integer) or answer not in (0, 1):
            raise ValueError(f"answer {i} is neither true nor false: {_kind(answer)}")
    return np.array([bool(answer) for answer in answers], dtype=bool)


def _decode(encoded: Any, name: str) -> np.ndarray:
    return decode_image(_as_bytes(encoded, name), name)


def _as_bytes(encoded: Any, name: str) -> bytes:
    if isinstance(encoded, str):  # Python 2's bytes, read and written again by a Python 3 that took them for text
        try:
            encoded = encoded.encode("latin1")
        except UnicodeEncodeError as error:
            raise ValueError(f"{name}: text instead of an encoded image") from error
    if isinstance(encoded, np.ndarray) and encoded.dtype.itemsize == 1:
        encoded = encoded.tobytes()
    if not isinstance(encoded, bytes):
        raise ValueError(f"{name}: expected bytes, got {_kind(encoded)}")
    return encoded


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}"
    return f"{type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else type(value).__name__
