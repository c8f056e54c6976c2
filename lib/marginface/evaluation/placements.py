"""Every two images as a pair: the area under the ROC and the operating points, and how sure one can be of them over people.

The placement of a genuine pair is the share of impostor pairs that score lower, ties half; the mean placement is the AUC.
DeLong's variance of an AUC (1988) comes from the spread of placements, Obuchowski's (1997) from that of their sums over
clusters, for what is measured on one person hangs together. So a few sums a cluster are all that a variance needs, and the
covariance of two networks on the same test, and no scores have to be kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marginface.evaluation.verification import impostors_allowed, unit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Told = Callable[[int], object]

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # each where there are as many impostor pairs
GROUPS = 100  # a standard deviation from so many clusters is known to 1/√(2 · 99) = 7 %
STEP = 2.0**-21  # scores are told apart so far, which is a little more than float32 knows of a cosine
BINS = round(2 / STEP) + 2  # a score of -1 is in bin 1
NO_PAIR = 0  # the bin of what is not a pair of two people
BLOCK = 2_000_000  # pairs at once
SIGNIFICANT = 7  # bits that are kept of what serves variances alone, 0.4 %


@dataclass(frozen=True)
class Placements:
    """What all pairs of a test came to, in numbers of G groups of people; a group is one person where there are few.

    genuine, impostors: (G,) int64, pairs of one person, and of two people of whom at least one is in the group. So an
        impostor pair counts for both its people, once if they are in the same group.
    above: (G,) float64, for the genuine pairs of a group the mean share of impostor pairs that score higher, ties half.
    below: (G,) float64, for its impostor pairs the mean share of genuine pairs that score lower, ties half.
    impostor_pairs: their number; the sum of `impostors` is larger.
    fars: (F,) float64; accepted, admitted: (F, G) int64, genuine and impostor pairs of a group above the threshold of a FAR,
        which is the lowest with which no more than this share of all impostor pairs is accepted.
    slopes: (F,) float64, how fast the TAR rises with the FAR there.
    """

    genuine: Ints
    impostors: Ints
    above: Floats
    below: Floats
    impostor_pairs: int
    fars: Floats
    accepted: Ints
    admitted: Ints
    slopes: Floats

    @property
    def auc(self) -> float:
        """The area under the ROC: how often a genuine pair scores higher than an impostor pair, ties half."""
        return 1 - float(self.above @ self.genuine) / int(self.genuine.sum())

    @property
    def tars(self) -> Floats:
        """(F,) the share of accepted genuine pairs at each FAR."""
        return self.accepted.sum(axis=1) / self.genuine.sum()

    def auc_influence(self) -> Floats:
        """(G,) how much each group adds to the deviation of 1 - AUC: `variance` makes its variance of it.

        An impostor pair adds to both its people's groups. Of a pair's deviation what is due to either person is thereby counted
        right, and what is due to the pair alone twice: the variance errs upwards, and by little where there are many people.
        """
        genuine, error = self.genuine.sum(), 1 - self.auc
        own = (self.above - error) * self.genuine / genuine
        mean = self.below @ self.impostors / self.impostors.sum()  # the error, but for pairs within a group
        return own + (self.below - mean) * self.impostors / self.impostor_pairs

    def tar_influence(self, far: float) -> Floats:
        """(G,) how much each group adds to the deviation of 1 - TAR at one of the FARs, by its genuine pairs and by its
        impostors, who move the threshold. Raises: ValueError for a FAR that is not among them."""
        found = np.flatnonzero(np.isclose(self.fars, far, rtol=1e-6, atol=0))
        if not len(found):
            raise ValueError(f"far={far:g} must be one of {', '.join(f'{known:g}' for known in self.fars)}")
        k = int(found[0])
        missed = (self.genuine * self.tars[k] - self.accepted[k]) / self.genuine.sum()
        share = self.admitted[k].sum() / self.impostors.sum()
        return missed + self.slopes[k] * (self.admitted[k] - share * self.impostors) / self.impostor_pairs

    def arrays(self) -> dict[str, np.ndarray]:
        """What a record keeps: `Placements.of` makes the same of it, with placements and counts of impostors in 7 bits.

        These serve variances; the AUC itself is a metric of the run, and the TARs come out exactly.
        """
        impostors = np.concatenate([self.impostors[None], self.admitted])
        counts = np.concatenate([self.genuine[None], self.accepted, _short(impostors).astype(np.int64)])
        return {
            "counts": counts.astype(np.uint16 if counts.max() < 2**16 else np.uint32),
            "placements": _short(np.stack([self.above, self.below])).astype(np.float32),
            "operating points": np.stack([self.fars, self.slopes]).astype(np.float32),
            "impostor pairs": np.array(self.impostor_pairs),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Placements":
        """The inverse of `arrays`. Raises: KeyError naming what is missing."""
        counts, (above, below) = arrays["counts"].astype(np.int64), arrays["placements"].astype(np.float64)
        fars, slopes = arrays["operating points"].astype(np.float64)
        (genuine, *accepted), (impostors, *admitted) = counts.reshape(2, 1 + len(fars), -1)
        some = (len(fars), len(genuine))
        return cls(
            genuine=genuine,
            impostors=impostors,
            above=above,
            below=below,
            impostor_pairs=int(arrays["impostor pairs"]),
            fars=fars,
            accepted=np.array(accepted, dtype=np.int64).reshape(some),
            admitted=np.array(admitted, dtype=np.int64).reshape(some),
            slopes=slopes,
        )


def _short(numbers: NDArray) -> Floats:
    mantissa, exponent = np.frexp(numbers.astype(np.float64))
    return np.ldexp(np.round(mantissa * 2**SIGNIFICANT), exponent - SIGNIFICANT)


def variance(influence: ArrayLike, other: ArrayLike | None = None) -> float:
    """The variance of an estimate over clusters drawn anew, from what each of G adds to its deviation, (G,); with another
    estimate's on the same clusters, their covariance."""
    first = np.asarray(influence, dtype=np.float64)
    second = first if other is None else np.asarray(other, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or len(first) < 2:
        raise ValueError(f"influences must be (G,) of the same two groups or more, not {first.shape} and {second.shape}")
    return float(first @ second) * len(first) / (len(first) - 1)


def all_pairs(
    embeddings: ArrayLike,
    people: ArrayLike,
    kind: ArrayLike | None = None,
    fars: Sequence[float] = FARS,
    groups: int = GROUPS,
    progress: Told | None = None,
) -> Placements:
    """All pairs of M images, streamed twice: first to know how impostors score, then to know whose pairs are where.

    Scores are rounded to multiples of 2^-21. That moves the AUC by at most half the share of those pairs of a genuine and an
    impostor pair that tie thereby: by less than 1e-6 as long as the product of their densities comes to less than 4, as that
    of two uniform distributions over a quarter does. In memory are some 150 MB beside the embeddings.

    Arguments:
        embeddings: (M, d) of any length.
        people: (M,) int, who is on an image. In the order of their numbers they are put in groups of neighbours.
        kind: (M,) int; where given, only images of different kinds are pairs.
        fars: those of them count for which there are enough impostor pairs.
        groups: the most groups of people.
        progress: is told after each block how many pairs were looked at in it, M (M + 1) in all.
    Raises: ValueError for shapes that do not fit, embeddings that are not finite, and where there are no genuine or no impostor
        pairs.
    """
    images = _Images.of(embeddings, people, kind, groups)
    genuine, owners = images.genuine()
    histogram = np.zeros(BINS, dtype=np.int64)
    for _, bins in images.impostors(progress):
        np.add.at(histogram, bins.ravel(), 1)
    histogram[NO_PAIR] = 0
    reached = histogram.cumsum()
    pairs = int(reached[-1])
    if not len(genuine) or not pairs:
        raise ValueError(f"need genuine and impostor pairs, not {len(genuine)} and {pairs}")
    kept = np.array([far for far in fars if far * pairs >= 1])
    thresholds = np.array([_threshold(reached, impostors_allowed(far, pairs)) for far in kept], dtype=np.int64)
    impostors, lower_sums, admitted = _second_look(images, _lower(genuine), thresholds, progress)

    count = images.groups
    own = np.bincount(owners, minlength=count)
    higher = 1 - (reached[genuine] - histogram[genuine] / 2) / pairs
    higher_sums = np.bincount(owners, higher, minlength=count)
    accepted = [np.bincount(owners[genuine > threshold], minlength=count) for threshold in thresholds]
    return Placements(
        genuine=own,
        impostors=impostors,
        above=higher_sums / np.maximum(own, 1),
        below=lower_sums / np.maximum(impostors, 1),
        impostor_pairs=pairs,
        fars=kept,
        accepted=np.array(accepted, dtype=np.int64).reshape(len(kept), count),
        admitted=admitted,
        slopes=np.array([_slope(genuine, reached, far) for far in kept]),
    )


def _bins(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    return (np.clip(scores + 1, 0, 2) / np.float32(STEP) + np.float32(1.5)).astype(np.int32)


@dataclass(frozen=True, eq=False)
class _Images:
    """Unit vectors (M, d) in the order of people, `who` (M,) and their `group` (M,)."""

    vectors: NDArray[np.float32]
    who: Ints
    kind: NDArray | None
    group: Ints

    @classmethod
    def of(cls, embeddings: ArrayLike, people: ArrayLike, kind: ArrayLike | None, groups: int) -> "_Images":
        vectors = unit(embeddings).astype(np.float32, copy=False)
        for name, given in {"people": people, "kind": kind}.items():
            if given is not None and np.shape(given) != (len(vectors),):
                raise ValueError(f"{name} must be ({len(vectors)},), one for each embedding, not {np.shape(given)}")
        if groups < 2:
            raise ValueError(f"groups must be 2 or more, not {groups}")
        names, who = np.unique(np.asarray(people), return_inverse=True)
        order = np.argsort(who, kind="stable")
        who = who[order]
        kinds = None if kind is None else np.asarray(kind)[order]
        return cls(vectors[order], who, kinds, who * min(groups, len(names)) // len(names))

    @property
    def groups(self) -> int:
        return int(self.group[-1]) + 1

    def genuine(self) -> tuple[Ints, Ints]:
        """The bin of every genuine pair and the group that it belongs to."""
        starts = np.flatnonzero(np.diff(self.who, prepend=-1))
        bins, owners = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for start, end in zip(starts, [*starts[1:], len(self.who)], strict=True):
            left, right = np.triu_indices(end - start, 1)
            if self.kind is not None:
                differ = self.kind[start:end][left] != self.kind[start:end][right]
                left, right = left[differ], right[differ]
            own = self.vectors[start:end]
            bins.append(_bins((own @ own.T)[left, right]))
            owners.append(np.full(len(left), self.group[start]))
        return np.concatenate(bins).astype(np.int64), np.concatenate(owners)

    def impostors(self, progress: Told | None) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """The bins of blocks of pairs (R, C): of the R images from the one that is given with those from there to the end."""
        start = 0
        while start < len(self.who):
            rows = slice(start, start + max(1, BLOCK // (len(self.who) - start)))
            bins = _bins(self.vectors[rows] @ self.vectors[start:].T)
            last = int(np.searchsorted(self.who, self.who[rows][-1], side="right")) - start  # of the people of the rows
            bins[:, :last][self.who[rows, None] >= self.who[None, start : start + last]] = NO_PAIR
            if self.kind is not None:
                bins[self.kind[rows, None] == self.kind[None, start:]] = NO_PAIR
            yield start, bins
            if progress is not None:
                progress(sum(range(max(len(self.who) - rows.stop, 0) + 1, len(self.who) - start + 1)))
            start = rows.stop


def _second_look(
    images: _Images, lower: NDArray[np.float32], thresholds: Ints, progress: Told | None
) -> tuple[Ints, Floats, Ints]:
    """Of each group: its impostor pairs (G,), the sum of what `lower` makes of their bins (G,), and how many of them are above
    each threshold (F, G)."""
    count, group = images.groups, images.group
    impostors, sums = np.zeros(count, dtype=np.int64), np.zeros(count)
    admitted = np.zeros((len(thresholds), count), dtype=np.int64)
    for start, bins in images.impostors(progress):
        left, right = group[start : start + len(bins)], group[start:]
        last = int(np.searchsorted(right, left[-1], side="right"))
        twice = left[:, None] == right[None, :last]  # pairs within a group, which belong to it once
        for total, values in ((impostors, bins != NO_PAIR), (sums, lower[bins])):
            rows = values.sum(axis=1, dtype=total.dtype) - (values[:, :last] * twice).sum(axis=1, dtype=total.dtype)
            columns = values.sum(axis=0, dtype=total.dtype)
            for which, shares in ((left, rows), (right, columns)):
                total += np.bincount(which, shares, minlength=count).astype(total.dtype)
        if len(thresholds):
            row, column = np.nonzero(bins > thresholds.min())
            found, first, second = bins[row, column], left[row], right[column]
            for total, threshold in zip(admitted, thresholds, strict=True):
                over = found > threshold
                total += np.bincount(first[over], minlength=count)
                total += np.bincount(second[over & (first != second)], minlength=count)
    return impostors, sums, admitted


def _lower(genuine: Ints) -> NDArray[np.float32]:
    """(BINS,) the share of genuine pairs that score lower than an impostor pair in a bin, ties half; 0 for `NO_PAIR`."""
    drawn = np.bincount(genuine, minlength=BINS)
    return ((drawn.cumsum() - drawn / 2) / len(genuine)).astype(np.float32)


def _threshold(reached: Ints, allowed: int) -> int:
    """The lowest bin above which there are no more impostor pairs than allowed, from how many there are up to each bin."""
    return int(np.searchsorted(reached, reached[-1] - allowed))


def _slope(genuine: Ints, reached: Ints, far: float) -> float:
    """How fast the TAR rises with the FAR between half and twice the FAR."""
    pairs = int(reached[-1])
    few, many = (impostors_allowed(min(factor * far, 1), pairs) for factor in (0.5, 2))
    if few == many:
        return 0.0
    gained = [(genuine > _threshold(reached, allowed)).mean() for allowed in (few, many)]
    return float((gained[1] - gained[0]) * pairs / (many - few))
