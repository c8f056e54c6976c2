"""Text tables without titles: a fast reader, and errors that name the line."""

import csv
import io
import math
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from marginface.data.files import printable, quoted, read_bytes

INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)  # what int64 holds in any case
_KINDS = {str: str, int: np.int64, float: np.float64}


def read_table(path: str | Path, separator: str, kinds: Sequence[type], expected: str) -> list[np.ndarray]:
    """The columns of a table, N lines of fields parted by one character; empty lines are left out.

    Arguments: kinds: of each column: str, int or float; expected: what a line should have, for errors.
    Returns: for each column an array (N,) of objects, int64, or float64 of finite numbers.
    Raises: ValueError naming the file, and the line that has another number of fields or no such number.
    """
    content = read_bytes(path)
    types = {i: _KINDS[kind] for i, kind in enumerate(kinds)}
    try:
        with np.errstate(invalid="ignore"):  # where an integer is written as 1E64
            table = pd.read_csv(
                io.BytesIO(content), sep=separator, header=None, dtype=types, na_filter=False, quoting=csv.QUOTE_NONE
            )
        columns = [table[i].to_numpy() for i in range(len(kinds))]
        if table.shape[1] == len(kinds) and all(map(_fits, columns, kinds)):
            return columns
    except (ValueError, LookupError, OverflowError, MemoryError):
        pass
    raise ValueError(_first_wrong(printable(path), content, separator, kinds, expected))


def line_of(path: str | Path, row: int) -> int:
    """The number of the line, from 1, that a row of `read_table`, from 0, comes from."""
    filled = (i for i, line in enumerate(read_bytes(path).split(b"\n"), 1) if line.strip())
    return next(islice(filled, row, None))


def _fits(column: np.ndarray, kind: type) -> bool:
    """pandas takes integers beyond int64 for uint64, whatever it was told."""
    return kind is str or (column.dtype == _KINDS[kind] and (kind is int or bool(np.isfinite(column).all())))


def _first_wrong(path: str, content: bytes, separator: str, kinds: Sequence[type], expected: str) -> str:
    """What the slow way finds wrong."""
    for i, line in enumerate(content.decode(errors="backslashreplace").split("\n"), 1):
        fields = line.rstrip("\r").split(separator)
        if line.strip() and not (len(fields) == len(kinds) and all(map(_is, fields, kinds))):
            return f"{printable(path)}, line {i}: expected {expected}, got {quoted(line)}"
    return f"{printable(path)}: expected lines of {expected}, in UTF-8"


def _is(field: str, kind: type) -> bool:
    if kind is int:
        return INTEGER.fullmatch(field) is not None
    try:
        return kind is str or math.isfinite(float(field))
    except ValueError:
        return False
