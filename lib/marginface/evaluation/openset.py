"""Who is it, if anybody: search where some of those who are looked for are not enrolled.

After the open-set protocols of IJB (1:N) and of NIST's FRVT: a search returns a candidate only if its score reaches a
threshold. FPIR is the share of searches for strangers that return somebody; TPIR, which is 1 - FNIR, the share of searches for
enrolled people that return them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marginface.evaluation.embeddings import unit
from marginface.evaluation.scores import TIE, above
from marginface.evaluation.sieve import products
from marginface.evaluation.templates import Failed, check_failed
from marginface.evaluation.verification import impostors_allowed


@dataclass(frozen=True)
class OpenSet:
    """What became of K searches for enrolled people and Q searches for strangers.

    probe: (K,) int64, rows of the probes.
    scores: (K,) float32, the largest cosine with a template of that person.
    others: (K,) float32, the largest cosine with anybody else's.
    strangers: (Q,) float32, descending, the largest cosine of each stranger with anybody's.

    Where there is nobody to compare with, a cosine is -∞.
    """

    probe: NDArray[np.int64]
    scores: NDArray[np.float32]
    others: NDArray[np.float32]
    strangers: NDArray[np.float32]

    def threshold(self, fpir: float) -> float:
        """The least threshold that no more than the share `fpir` of strangers reaches (score >= threshold); -∞ where all may.

        It lies above the first stranger that must stay out by as much as rounding can make of a tie (5e-7).
        """
        allowed = impostors_allowed(fpir, len(self.strangers), "fpir")
        return -np.inf if allowed == len(self.strangers) else above(float(self.strangers[allowed]), TIE, np.float32)

    def tpir(self, fpir: float) -> float:
        """The share of enrolled people who are found, as the best candidate and at this FPIR's threshold.

        Who is as much like somebody else, up to rounding, is not found.
        """
        found = (self.scores - np.float32(TIE) > self.others) & (self.scores >= self.threshold(fpir))
        return float(np.mean(found))


def open_set(
    probes: ArrayLike, gallery: ArrayLike, probe_labels: ArrayLike, gallery_labels: ArrayLike, failed: Failed = "error"
) -> OpenSet:
    """Searches in a gallery: for the people in it, and for the strangers among the probes, whose label the gallery has not.

    Arguments: probes (P, d), gallery (M, d) float embeddings of any length, arrays or memory maps, such as the templates that
        `pool` makes; probe_labels (P,), gallery_labels (M,) int. Of several templates of a person the most alike counts.
        failed: what a row of zeros is; as "non-match" it is not like anybody (-∞), so that neither such a probe nor who is
        enrolled by it alone is found.
    Raises: ValueError for shapes that differ, rows that are not finite, or zero unless `failed` says otherwise, and where
        there is no search of one of the two kinds.
    """
    check_failed(failed)
    x, y = np.asarray(probes), np.asarray(gallery)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or 0 in (*x.shape, *y.shape):
        raise ValueError(f"probes and gallery must be (P, d) and (M, d), not {x.shape} and {y.shape}")
    people, enrolled = np.asarray(probe_labels), np.asarray(gallery_labels)
    for name, labels, rows in (("probe_labels", people, x), ("gallery_labels", enrolled, y)):
        if labels.shape != rows.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"{name} must be ({len(rows)},) whole numbers, not {labels.shape} {labels.dtype}")
    mated = np.isin(people, enrolled)
    if mated.all() or not mated.any():
        raise ValueError(f"need searches for enrolled people and for strangers, not {mated.sum()} and {(~mated).sum()}")
    if failed == "non-match":
        looked_for, there = x.any(axis=1), y.any(axis=1)
    else:
        looked_for, there = np.ones(len(x), dtype=np.bool_), np.ones(len(y), dtype=np.bool_)
    own, others = _best(x, y, people, enrolled, looked_for, there)
    return OpenSet(np.flatnonzero(mated), own[mated], others[mated], np.sort(others[~mated])[::-1])


def _best(
    x: NDArray, y: NDArray, people: NDArray, enrolled: NDArray, looked_for: NDArray[np.bool_], there: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each probe's largest cosine with its own person and with others, (P,) float32 both; -∞ where there is none."""
    own, others = (np.full(len(x), -np.inf, dtype=np.float32) for _ in range(2))
    names, rows = np.flatnonzero(looked_for), y if there.all() else y[there]
    if len(names) and len(rows):
        own_labels, row_labels = people[names], enrolled[there]
        found, strange = (np.full(len(names), -np.inf, dtype=np.float32) for _ in range(2))
        searched = unit(x[names], "probes").astype(np.float32, copy=False)
        for start, scores in products(searched, rows, "gallery"):
            mine = own_labels[:, None] == row_labels[start : start + scores.shape[1]]
            np.maximum(found, np.where(mine, scores, -np.inf).max(axis=1), out=found)
            np.maximum(strange, np.where(mine, -np.inf, scores).max(axis=1), out=strange)
        own[names], others[names] = found, strange
    return own, others
