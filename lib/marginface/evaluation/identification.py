"""Who is it: finding a person among many others, streamed.

After MegaFace (arXiv:1512.00596): each image of a probe's person in turn is put among the impostors, and its rank says how
many of them are at least as much like the probe. Scores are never held but in blocks, so a million impostors cost little
more than the matrix product and little memory (benchmarks/evaluation.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marginface.evaluation.embeddings import unit
from marginface.evaluation.scores import TIE, above
from marginface.evaluation.sieve import Sieve, products
from marginface.evaluation.verification import impostors_allowed

Told = Callable[[int], object]  # is told how many images were compared since it was told last


@dataclass(frozen=True)
class Identification:
    """What became of G pairs of a probe and another image of the same person.

    probe, mate: (G,) int64, rows of the probes and of the gallery.
    scores: (G,) float32 cosines.
    ranks: (G,) int64, 1 is best; depth + 1 stands for any rank beyond `depth`.
    depth: the deepest rank that was told apart.
    impostor_pairs: how many pairs of different people there were.
    impostors: (K,) float32, the largest scores of such pairs, descending, as many as the largest FAR asked for needs.
    """

    probe: NDArray[np.int64]
    mate: NDArray[np.int64]
    scores: NDArray[np.float32]
    ranks: NDArray[np.int64]
    depth: int
    impostor_pairs: int
    impostors: NDArray[np.float32]

    def cmc(self, deepest: int | None = None) -> NDArray[np.float64]:
        """The cumulative match characteristic: the share of pairs with rank 1, … up to rank `deepest`, (deepest,)."""
        deepest = self.depth if deepest is None else deepest
        if not 1 <= deepest <= self.depth:
            raise ValueError(f"ranks were told apart from 1 to {self.depth}: nothing is known up to {deepest}")
        return np.bincount(self.ranks, minlength=deepest + 1)[1 : deepest + 1].cumsum() / len(self.ranks)

    def rank_k(self, k: int = 1) -> float:
        """The share of pairs whose mate is among the best k."""
        return float(self.cmc(k)[-1])

    def tar_at_far(self, far: float = 1e-6) -> float:
        """The largest share of accepted pairs while no more than `far` of all impostor pairs is accepted.

        Exact, and as in ranks a score that is within rounding of the first impostor to stay out is not accepted by luck.
        """
        return float(np.mean(self.scores >= self.threshold(far)))

    def threshold(self, far: float) -> float:
        """The least threshold at this FAR: accepted is what reaches it (score >= threshold); -∞ where all may be.

        It lies above the first impostor that must stay out by as much as rounding can make of a tie (5e-7).
        """
        allowed = impostors_allowed(far, self.impostor_pairs)
        if allowed == self.impostor_pairs:
            return -np.inf
        if allowed >= len(self.impostors):
            raise ValueError(f"FAR {far} needs {allowed + 1} impostor scores, {len(self.impostors)} were kept: name it in fars")
        return above(float(self.impostors[allowed]), TIE, np.float32)


@dataclass(frozen=True)
class MegaFace:
    """The protocol on all images, and without those that the noise lists name."""

    raw: Identification
    refined: Identification


def identify(
    probes: ArrayLike,
    gallery: ArrayLike,
    probe_labels: ArrayLike,
    gallery_labels: ArrayLike,
    distractors: ArrayLike | None = None,
    depth: int | None = 1000,
    fars: tuple[float, ...] = (1e-6,),
    progress: Told | None = None,
) -> Identification:
    """Ranks of the probes' mates in a gallery among its other people and the distractors.

    Scores closer than rounding (5e-7) count as ties, and ties count against the probe: an impostor that is the mate's very
    image is never passed by luck. Beyond its arguments this takes about 0.4 GB, and 4 bytes · FAR · impostor pairs.

    Arguments: probes (P, d), gallery (M, d), distractors (D, d) float embeddings of any length, arrays or memory maps;
        probe_labels (P,), gallery_labels (M,) int; depth: ranks beyond it are not told apart, which keeps the time near
        that of the bare product for poor embeddings too (None: all are); fars: what `tar_at_far` will be asked for;
        progress: is told after each block how many images of gallery and distractors were compared in it.
    Raises: ValueError for shapes that differ, rows that are not finite or zero, and where no probe has a mate or there
        is no impostor.
    """
    x, y = _probes(probes), np.asarray(gallery)
    others = _labels(gallery_labels, len(_images(y, x, "gallery")), "gallery_labels")
    far_images = _images(x[:0] if distractors is None else distractors, x, "distractors")
    people = _labels(probe_labels, len(x), "probe_labels")
    probe, mate = _mates(people, others)
    impostors, tell = len(y) + len(far_images), progress or (lambda _: None)
    trial = _Trial(probe, mate, _cosines(x, y, probe, mate), len(x), impostors, len(x) * impostors - len(probe), depth, fars)
    for start, scores in products(x, y, "gallery"):
        scores[people[:, None] == others[start : start + scores.shape[1]]] = -np.inf
        trial.sieve.sift(scores)
        tell(scores.shape[1])
    for _, scores in products(x, far_images, "distractors"):
        trial.sieve.sift(scores)
        tell(scores.shape[1])
    return trial.result()


def megaface(
    probes: ArrayLike,
    labels: ArrayLike,
    distractors: ArrayLike,
    noisy_probes: ArrayLike | None = None,
    noisy_distractors: ArrayLike | None = None,
    depth: int | None = 1000,
    fars: tuple[float, ...] = (1e-6,),
    progress: Told | None = None,
) -> MegaFace:
    """MegaFace's protocol: the probes are each other's mates, and only distractors are impostors.

    Raw and refined come from one pass over the distractors. The refined protocol leaves out the distractors that show a
    probe's person and the probes that do not (ArcFace §3.1.3); the public code keeps such probes and moves them to their
    person's centre, which makes them easy.

    Arguments: as of `identify`; noisy_probes (P,), noisy_distractors (D,) bool, what the noise lists name. Without them
        raw and refined are the same.
    """
    x = _probes(probes)
    people, y = _labels(labels, len(x), "labels"), _images(distractors, x, "distractors")
    drop_probe, drop = _mask(noisy_probes, len(x), "noisy_probes"), _mask(noisy_distractors, len(y), "noisy_distractors")
    probe, mate = _mates(people, people, leave_out=True)
    cosines, clean = _cosines(x, x, probe, mate), ~(drop_probe[probe] | drop_probe[mate])
    pairs = int((~drop_probe).sum()) * int((~drop).sum())
    raw = _Trial(probe, mate, cosines, len(x), len(y), len(x) * len(y), depth, fars)
    refined = _Trial(probe[clean], mate[clean], cosines[clean], len(x), len(y), pairs, depth, fars)
    for start, scores in products(x, y, "distractors"):
        raw.sieve.sift(scores)
        if drop_probe.any() or drop.any():
            scores[drop_probe] = -np.inf
            scores[:, drop[start : start + scores.shape[1]]] = -np.inf
            refined.sieve.sift(scores)
        if progress is not None:
            progress(scores.shape[1])
    return MegaFace(raw.result(), refined.result() if drop_probe.any() or drop.any() else raw.result())


def cmc(
    probes: ArrayLike,
    gallery: ArrayLike,
    probe_labels: ArrayLike,
    gallery_labels: ArrayLike,
    distractors: ArrayLike | None = None,
    deepest: int = 100,
) -> NDArray[np.float64]:
    """`identify`'s shares of rank 1 … deepest, (deepest,)."""
    return identify(probes, gallery, probe_labels, gallery_labels, distractors, depth=deepest, fars=()).cmc()


def rank_k(
    probes: ArrayLike,
    gallery: ArrayLike,
    probe_labels: ArrayLike,
    gallery_labels: ArrayLike,
    distractors: ArrayLike | None = None,
    k: int = 1,
) -> float:
    """`identify`'s share of mates among the best k."""
    return identify(probes, gallery, probe_labels, gallery_labels, distractors, depth=k, fars=()).rank_k(k)


class _Trial:
    """What is asked of the impostors' scores, and the answer."""

    def __init__(
        self,
        probe: NDArray[np.int64],
        mate: NDArray[np.int64],
        scores: NDArray[np.float32],
        probes: int,
        impostors: int,
        impostor_pairs: int,
        depth: int | None,
        fars: tuple[float, ...],
    ) -> None:
        if len(probe) == 0 or impostor_pairs == 0:
            raise ValueError(
                f"need mates and impostors, there are {len(probe)} pairs of one person and {impostor_pairs} of two"
            )
        if depth is not None and depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self.probe, self.mate, self.scores, self.impostor_pairs = probe, mate, scores, impostor_pairs
        keep = 1 + max((impostors_allowed(far, impostor_pairs) for far in fars), default=-1)
        self.sieve = Sieve(probe, scores - np.float32(TIE), probes, impostors + 1 if depth is None else depth, keep)

    def result(self) -> Identification:
        ranks, depth = 1 + self.sieve.counts(), self.sieve.depth
        return Identification(
            self.probe, self.mate, self.scores, ranks, depth, self.impostor_pairs, self.sieve.largest_scores()
        )


def _mates(people: NDArray, others: NDArray, leave_out: bool = False) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of a probe and an image of the same person; leave_out: not with itself."""
    order = np.argsort(others, kind="stable")
    first, last = (np.searchsorted(others[order], people, side) for side in ("left", "right"))
    counts = last - first
    probe = np.repeat(np.arange(len(people)), counts)
    within = np.arange(len(probe)) - np.repeat(counts.cumsum() - counts, counts)
    mate = order[np.repeat(first, counts) + within]
    different = probe != mate if leave_out else np.ones(len(probe), dtype=np.bool_)
    return probe[different], mate[different]


def _probes(probes: ArrayLike) -> NDArray[np.float32]:
    return unit(probes, "probes").astype(np.float32, copy=False)


def _cosines(x: NDArray[np.float32], y: NDArray, probe: NDArray[np.int64], mate: NDArray[np.int64]) -> NDArray[np.float32]:
    cosines = np.empty(len(probe), dtype=np.float32)
    for start in range(0, len(probe), 8192):
        pairs = slice(start, start + 8192)
        mates = unit(y[mate[pairs]], "the gallery's mates")
        cosines[pairs] = np.einsum("pd,pd->p", x[probe[pairs]], mates)
    return cosines


def _images(embeddings: ArrayLike, x: NDArray[np.float32], name: str) -> NDArray:
    images = np.asarray(embeddings)
    if images.ndim != 2 or images.shape[1] != x.shape[1]:
        raise ValueError(f"{name} must be (N, {x.shape[1]}) as the probes are, not {images.shape}")
    return images


def _labels(labels: ArrayLike, count: int, name: str) -> NDArray[np.integer]:
    given = np.asarray(labels)
    if given.shape != (count,) or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"{name} must be ({count},) whole numbers, not {given.shape} {given.dtype}")
    return given


def _mask(mask: ArrayLike | None, count: int, name: str) -> NDArray[np.bool_]:
    given = np.zeros(count, dtype=np.bool_) if mask is None else np.asarray(mask)
    if given.shape != (count,) or given.dtype != np.bool_:
        raise ValueError(f"{name} must be ({count},) bool, not {given.shape} {given.dtype}")
    return given
