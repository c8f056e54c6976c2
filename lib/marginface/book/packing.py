"""Arrays as text, in few characters: thousands of records lie in the repository and in the package."""

import base64
import lzma
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from marginface.data.files import most_unpacked

KINDS = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)), "float16", "float32", "float64")

# bytes that neither stand in fours, as pb=2 would expect, nor follow from the one before, as lc=3 would
FILTERS = [{"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "pb": 0, "dict_size": 2**20}]


def pack(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """All arrays in one stream, and of each its type and shape; decisions as bits, numbers with their high bytes together."""
    kept = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    stream = lzma.compress(b"".join(map(_bytes, kept.values())), lzma.FORMAT_ALONE, filters=FILTERS)
    layout = {name: [str(array.dtype), *array.shape] for name, array in kept.items()}
    return {"layout": layout, "lzma_base85": base64.b85encode(stream).decode()}


def unpack(packed: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays that `pack` packed. Raises: KeyError, TypeError or ValueError for anything else."""
    if not isinstance(packed, Mapping):
        raise TypeError(f"the arrays are of type {type(packed).__name__}")
    if "layout" not in packed:
        return {name: _unpack_alone(one) for name, one in packed.items()}
    layout = {name: (_dtype(dtype), _shape(shape)) for name, (dtype, *shape) in packed["layout"].items()}
    sizes = [_size(dtype, shape) for dtype, shape in layout.values()]
    content = base64.b85decode(packed["lzma_base85"])
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=2**26)
        stream = _bounded(decoder, content, sum(sizes))
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"the arrays cannot be unpacked: {error}") from error
    arrays, start = {}, 0
    for (name, (dtype, shape)), size in zip(layout.items(), sizes, strict=True):
        arrays[name] = _array(stream[start : start + size], dtype, shape)
        start += size
    return arrays


def _bounded(decoder: Any, content: bytes, size: int) -> bytes:
    """So many bytes, neither more nor fewer. More are not unpacked: a few kilobytes can be made to hold gigabytes."""
    if size > most_unpacked(len(content)):
        raise ValueError(f"the arrays are said to be {size:,} bytes, too many for {len(content):,} packed ones")
    stream = decoder.decompress(content, size + 1)
    if len(stream) != size or not decoder.eof:
        raise ValueError(f"the arrays are {size:,} bytes, but {'fewer' if len(stream) < size else 'more'} were packed")
    return stream


def _dtype(name: Any) -> np.dtype:
    """A type of numbers by its name, and nothing else that NumPy would understand."""
    if name not in KINDS:
        raise ValueError(f"{str(name)[:80]!r} is no type of an array's numbers")
    return np.dtype(name)


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"{str(shape)[:80]} is no shape of an array")
    return tuple(shape)


def _size(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Bytes of an array as `_bytes` gives them."""
    count = math.prod(shape)
    return -(-count // 8) if dtype == np.bool_ else count * dtype.itemsize


def _bytes(array: np.ndarray) -> bytes:
    if array.dtype == np.bool_:
        return np.packbits(array).tobytes()
    return array.reshape(-1, 1).view(np.uint8).T.tobytes()


def _array(content: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    values = np.frombuffer(content, np.uint8)
    if dtype == np.bool_:
        return np.unpackbits(values, count=math.prod(shape)).astype(np.bool_).reshape(shape)
    return np.ascontiguousarray(values.reshape(dtype.itemsize, -1).T).view(dtype).reshape(shape)


def _unpack_alone(packed: Mapping[str, Any]) -> np.ndarray:
    """One array as records had it before there were thousands of them."""
    dtype, shape = _dtype(packed["dtype"]), _shape(packed["shape"])
    try:
        content = base64.b64decode(packed["zlib_base64"])
        stream = _bounded(zlib.decompressobj(), content, math.prod(shape) * dtype.itemsize)
    except zlib.error as error:
        raise ValueError(f"an array cannot be unpacked: {error}") from error
    return np.frombuffer(stream, dtype).reshape(shape)
