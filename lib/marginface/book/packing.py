"""Arrays as text, in few characters: thousands of records lie in the repository and in the package."""

import base64
import lzma
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

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
    try:
        stream = lzma.decompress(base64.b85decode(packed["lzma_base85"]), lzma.FORMAT_ALONE)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"the arrays cannot be unpacked: {error}") from error
    arrays, start = {}, 0
    for name, (dtype, *shape) in packed["layout"].items():
        count = math.prod(shape)
        size = -(-count // 8) if dtype == "bool" else count * _dtype(dtype).itemsize
        if not 0 <= size <= len(stream) - start:
            raise ValueError(f"the arrays are {len(stream)} bytes, too few for {name} of shape {shape}")
        arrays[name] = _array(stream[start : start + size], dtype, shape)
        start += size
    if start != len(stream):
        raise ValueError(f"the arrays are {start} bytes, but {len(stream)} were packed")
    return arrays


def _bytes(array: np.ndarray) -> bytes:
    if array.dtype == np.bool_:
        return np.packbits(array).tobytes()
    return array.reshape(-1, 1).view(np.uint8).T.tobytes()


def _array(content: bytes, dtype: str, shape: list[int]) -> np.ndarray:
    values = np.frombuffer(content, np.uint8)
    if dtype == "bool":
        return np.unpackbits(values, count=math.prod(shape)).astype(np.bool_).reshape(shape)
    return np.ascontiguousarray(values.reshape(np.dtype(dtype).itemsize, -1).T).view(dtype).reshape(shape)


def _unpack_alone(packed: Mapping[str, Any]) -> np.ndarray:
    """One array as records had it before there were thousands of them."""
    try:
        content = zlib.decompress(base64.b64decode(packed["zlib_base64"]))
    except zlib.error as error:
        raise ValueError(f"an array cannot be unpacked: {error}") from error
    return np.frombuffer(content, _dtype(packed["dtype"])).reshape(packed["shape"])


def _dtype(name: str) -> np.dtype:
    """NumPy takes whole expressions for a type: here it is a plain number's."""
    if name not in KINDS:
        raise ValueError(f"{name!r} is no type of numbers")
    return np.dtype(name)
