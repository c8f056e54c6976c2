"""Millions of scores, of which few matter: what identification takes from a stream of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

BLOCK_SCORES = 2**26  # scores held at a time: 256 MiB
PART_SCORES = 2**20  # scores that a thread looks at together, so that they stay in its processor's cache

Ints = NDArray[np.int64]
Singles = NDArray[np.float32]


def products(x: Singles, y: NDArray, name: str) -> Iterator[tuple[int, Singles]]:
    """Cosines of unit vectors x (P, d) with blocks of y (N, d) of any length: first row of the block, (P, B) float32.

    The memory of a block is used again for the next. The first ones are short: what they tell makes a `Sieve` finer.

    Raises: ValueError, naming the row, for vectors that are not finite or have length zero.
    """
    left, largest = torch.from_numpy(x), int(np.clip(BLOCK_SCORES // len(x), 256, 16384))
    out, rights = torch.empty(len(x) * min(largest, len(y))), torch.empty(min(largest, len(y)), x.shape[1])
    start, size = 0, 1024
    while start < len(y):
        size = min(size, largest, len(y) - start)
        right, scores = rights[:size], out[: len(x) * size].view(len(x), size)
        with np.errstate(over="ignore"):  # what float32 cannot hold is found next
            right.numpy()[:] = y[start : start + size]
        lengths = torch.linalg.vector_norm(right, dim=1, keepdim=True)
        unusable = ~(lengths.isfinite() & (lengths >= torch.finfo(torch.float32).tiny))
        if unusable.any():
            row = int(unusable.nonzero()[0, 0])
            raise ValueError(f"{name} must be finite and longer than zero; row {start + row} has length {float(lengths[row])}")
        torch.mm(left, right.div_(lengths).T, out=scores)
        yield start, scores.numpy()
        start, size = start + size, 2 * size


class Sieve:
    """Counts the impostors that reach each threshold of a probe, and keeps the largest scores of all.

    Of a probe's scores only those that reach the lowest threshold whose count still matters, or that may be among the
    largest of all, are looked at closer. These are compared as integers, the row above the ordered bits of the score, so
    that one sort serves many rows. Threads work on different rows.
    """

    def __init__(self, row: Ints, thresholds: Singles, rows: int, depth: int, keep: int) -> None:
        """For thresholds (G,) of the given rows (G,) of scores with so many rows; counts beyond `depth` do not matter."""
        self.order = np.lexsort((thresholds, row))
        self.row, self.depth, self.keep = row[self.order], depth, keep
        self.thresholds = np.append(thresholds[self.order], np.float32(np.inf))
        self.keys = _keys(self.row, self.thresholds[:-1])
        self.starts = np.searchsorted(self.row, np.arange(rows + 1))
        self.reached = np.zeros(len(row), dtype=np.int64)
        self.lowest = np.where(np.diff(self.starts) > 0, self.thresholds[self.starts[:-1]], np.float32(np.inf))
        self.largest = np.empty(0, dtype=np.float32)
        self.pending: list[Singles] = []
        self.least = np.float32(-np.inf if keep else np.inf)

    def sift(self, scores: Singles) -> None:
        """Takes a block of scores, one row a probe; -inf is no score."""
        height = max(1, PART_SCORES // scores.shape[1])
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            starts = range(0, len(scores), height)
            for values in pool.map(lambda first: self._sift(scores[first : first + height], first), starts):
                self._keep(values)

    def counts(self) -> Ints:
        """How many scores reached each threshold, (G,); `depth` stands for that many and more."""
        counts = np.empty_like(self.reached)
        counts[self.order] = np.minimum(self.reached, self.depth)
        return counts

    def largest_scores(self) -> Singles:
        """The largest scores, descending, as many as were to be kept."""
        self._settle()
        return np.sort(self.largest)[::-1]

    def _sift(self, part: Singles, first: int) -> Singles:
        """Counts in the rows from `first` on; returns the scores that may be among the largest."""
        last = first + len(part)
        floor = np.minimum(self.lowest[first:last], self.least)
        hits = np.flatnonzero(part >= floor[:, None])
        values = part.ravel()[hits]
        keys = np.sort(_keys(first + hits // part.shape[1], values))
        mine, height = slice(self.starts[first], self.starts[last]), np.diff(self.starts[first : last + 1])
        ends = np.searchsorted(keys, _keys(np.arange(first, last), np.float32(np.inf)))
        self.reached[mine] += np.repeat(ends, height) - np.searchsorted(keys, self.keys[mine])
        done = np.bincount(self.row[mine][self.reached[mine] >= self.depth] - first, minlength=len(part))
        self.lowest[first:last] = self.thresholds[np.where(done < height, self.starts[first:last] + done, -1)]
        return values[values > self.least]

    def _keep(self, values: Singles) -> None:
        if len(values):
            self.pending.append(values)
            if sum(map(len, self.pending)) > max(self.keep, PART_SCORES // 16):
                self._settle()

    def _settle(self) -> None:
        self.largest, self.pending = np.concatenate([self.largest, *self.pending]), []
        surplus = len(self.largest) - self.keep
        if self.keep and surplus >= 0:
            self.largest = np.partition(self.largest, surplus)[surplus:]
            self.least = self.largest[0]


def _keys(rows: Ints, values: Singles | np.float32) -> Ints:
    """Integers in the order of (row, value)."""
    bits = (values + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    return (rows << 32) + (bits ^ ((bits >> 31) & 0x7FFFFFFF))
