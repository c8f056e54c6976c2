"""The RecordIO container of MXNet: records of bytes one after the other, and an index of where each begins.

A record is the magic number, a word with its length in the lower 29 bits and its part number in the upper 3, the bytes, and
zeros up to a multiple of 4; all words are little-endian. A record in which the magic number itself occurs at a multiple of
4 is written in parts (1 the first, 2 between, 3 the last; 0 is a record in one piece), and each place between two parts
stands for a magic number. An index is a text file of lines "key<tab>byte".

Source: dmlc-core's recordio, in the words of its documentation.
"""

import mmap
import os
import struct
from pathlib import Path

import numpy as np

from marginface.data.files import printable, writing
from marginface.data.progress import Meter
from marginface.data.tables import read_table

MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", MAGIC)
_LENGTH = 2**29 - 1
_ENOUGH = 2**14  # bytes read at once: more than a face image of 112 × 112 pixels needs


def pack_record(content: bytes) -> bytes:
    """The bytes of a record. Raises: ValueError for more than the format's 2^29 - 1 bytes."""
    if len(content) > _LENGTH:
        raise ValueError(f"a record holds at most {_LENGTH:,} bytes, got {len(content):,}")
    places = _aligned_magic(content)
    starts = [0, *(place + 4 for place in places)]
    ends = [*places, len(content)]
    written = []
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        part = 0 if not places else 1 if i == 0 else 3 if i == len(places) else 2
        written += [struct.pack("<II", MAGIC, part << 29 | end - start), content[start:end]]
    return b"".join(written) + bytes(-len(content) % 4)


def _aligned_magic(content: bytes) -> list[int]:
    places, at = [], content.find(_MAGIC_BYTES)
    while at >= 0:
        if at % 4 == 0:
            places.append(at)
        at = content.find(_MAGIC_BYTES, at + (4 if at % 4 == 0 else 1))
    return places


def read_record(file: int, at: int, name: str) -> memoryview:
    """The content of the record that begins at byte `at` of an open file; safe in threads and in forked processes.

    `name` says in the error which record it is. Raises: ValueError where there is no whole record.
    """
    buffer = _read(file, _ENOUGH, at, name)
    part, length = _head(buffer, name)
    if part not in (0, 1):
        raise ValueError(f"{name}: it starts with part {part} of a record, not with the first")
    if part == 0:
        if 8 + length > len(buffer):
            buffer += _read(file, 8 + length - len(buffer), at + len(buffer), name)
        return memoryview(_whole(buffer, length, name))[8 : 8 + length]
    parts = []
    while True:
        parts.append(_whole(_read(file, 8 + length, at, name), length, name)[8:])
        if part == 3:
            return memoryview(_MAGIC_BYTES.join(parts))
        at += 8 + length + -length % 4
        part, length = _head(_read(file, 8, at, name), name)
        if part not in (2, 3):
            raise ValueError(f"{name}: part {len(parts) + 1} says that it is part {part}")


def _read(file: int, size: int, at: int, name: str) -> bytes:
    try:
        return os.pread(file, size, at)
    except (OSError, OverflowError, MemoryError) as error:
        raise ValueError(f"{name}: {size} bytes at byte {at} cannot be read ({error})") from error


def _head(buffer: bytes, name: str) -> tuple[int, int]:
    """Part number and length."""
    if len(buffer) < 8:
        raise ValueError(f"{name}: the file ends in its header")
    magic, word = struct.unpack_from("<II", buffer)
    if magic != MAGIC:
        raise ValueError(f"{name}: it starts with 0x{magic:08x}, not with the magic number 0x{MAGIC:08x}")
    return word >> 29, word & _LENGTH


def _whole(buffer: bytes, length: int, name: str) -> bytes:
    if len(buffer) < 8 + length:
        raise ValueError(f"{name}: {length} bytes long, but the file ends after {len(buffer) - 8} of them")
    return buffer


def scan(path: Path) -> np.ndarray:
    """Where the records of a file begin: bytes (N,) int64, in the order of the file.

    Raises: ValueError naming the file and the record where it is damaged or cut off.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise ValueError(f"{printable(path)}: the file is empty")
        what = f"looking for records in {printable(path.name)}"
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, Meter(what, size, size=True) as meter:
            return _starts(content, size, printable(path), meter)


def _starts(content: mmap.mmap, size: int, path: str, meter: Meter) -> np.ndarray:
    starts: list[int] = []
    at, inside = 0, False
    while at < size:
        name = f"{path}, record {len(starts) - inside} at byte {at}"
        part, length = _head(content[at : at + 8], name)
        if (part in (2, 3)) != inside or part > 3:
            raise ValueError(f"{name}: part {part} of a record {'expected to go on' if inside else 'that never began'}")
        if not inside:
            starts.append(at)
        inside = part in (1, 2)
        at += 8 + length + -length % 4
        meter.update(8 + length + -length % 4)
        if at > size:
            raise ValueError(f"{name}: {length} bytes long, but the file ends {at - size} bytes before its end")
    if inside:
        raise ValueError(f"{path}, record {len(starts) - 1} at byte {starts[-1]}: the file ends before its last part")
    return np.array(starts, dtype=np.int64)


def read_index(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys and bytes, each (N,) int64, of an index to a file of `size` bytes.

    Raises: ValueError naming the index, and the line that is none or the key whose byte cannot be the start of a record.
    """
    keys, starts = read_table(path, "\t", (int, int), "a key, a tab and a byte")
    wrong = (starts < 0) | (starts % 4 != 0) | (starts > size - 8)
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(f"{printable(path)}: key {keys[i]} is said to be at byte {starts[i]} of a file of {size} bytes")
    if (repeated := len(keys) - len(np.unique(keys))) > 0:
        raise ValueError(f"{printable(path)}: {repeated} keys occur more than once")
    return keys, starts


def write_index(path: Path, keys: np.ndarray, starts: np.ndarray) -> None:
    """Write an index, whole or not at all."""
    with writing(path) as file:
        file.write("".join(f"{key}\t{start}\n" for key, start in zip(keys.tolist(), starts.tolist(), strict=True)).encode())
