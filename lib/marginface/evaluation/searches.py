"""What a record keeps of people who were looked for among many: the curves at some of their points, and counts by people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marginface.evaluation.identification import Identification

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RANKS = tuple(sorted({round(10 ** (eighth / 8)) for eighth in range(33)}))  # 1 to 10,000
FARS = tuple(float(f"{10 ** (-fifth / 5):.3g}") for fifth in range(5, 31))  # 1e-1 to 1e-6
MOST_ACCEPTED = 2**24  # impostor pairs whose scores are kept for the largest FAR: 64 MiB
GROUPS = 100  # of people, as in `placements`


@dataclass(frozen=True)
class Search:
    """What became of pairs of a probe and another image of the same person, in numbers of G groups of people.

    pairs, first, accepted: (G,) int64, all pairs of a group, those at rank 1, and those accepted at FAR `far`.
    ranks: (K,) int64 and cmc: (K,) float64, the share of pairs with at most this rank.
    fars, tars: (F,) float64, the ROC.
    """

    pairs: Ints
    first: Ints
    accepted: Ints
    ranks: Ints
    cmc: Floats
    fars: Floats
    tars: Floats

    @classmethod
    def of_result(cls, result: Identification, people: ArrayLike, far: float, fars: Sequence[float]) -> "Search":
        """Of a result, whose probes show these people (P,) int; `fars` are those whose scores it has kept."""
        names, who = np.unique(people, return_inverse=True)
        group = (who * min(GROUPS, len(names)) // len(names))[result.probe]
        every = np.ones(len(group), dtype=bool)
        pairs, first, accepted = (
            np.bincount(group[of], minlength=min(GROUPS, len(names)))
            for of in (every, result.ranks == 1, result.scores >= result.threshold(far))
        )
        ranks = np.array([rank for rank in RANKS if rank <= result.depth])
        tars = np.array([result.tar_at_far(each) for each in fars])
        return cls(pairs, first, accepted, ranks, result.cmc(int(ranks[-1]))[ranks - 1], np.array(fars), tars)

    def influence(self, measure: str) -> Floats:
        """(G,) how much each group adds to the deviation of the share of errors; at a FAR with the threshold taken as given.

        Arguments: measure: "rank-1", or anything else for TAR.
        """
        wrong = self.pairs - (self.first if measure == "rank-1" else self.accepted)
        total = self.pairs.sum()
        return (wrong - wrong.sum() / total * self.pairs) / total

    def arrays(self) -> dict[str, np.ndarray]:
        """What a record keeps, single precision for the curves: `Search.of` makes the same of it."""
        counts = np.stack([self.pairs, self.first, self.accepted])
        return {
            "people": counts.astype(np.uint16 if counts.max() < 2**16 else np.uint32),
            "cmc": np.stack([self.ranks, self.cmc]).astype(np.float32),
            "roc": np.stack([self.fars, self.tars]).astype(np.float32),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Search":
        """The inverse of `arrays`. Raises: KeyError naming what is missing."""
        pairs, first, accepted = arrays["people"].astype(np.int64)
        (ranks, cmc), (fars, tars) = arrays["cmc"].astype(np.float64), arrays["roc"].astype(np.float64)
        return cls(pairs, first, accepted, ranks.astype(np.int64), cmc, fars, tars)


def affordable(impostor_pairs: int, always: float) -> tuple[float, ...]:
    """Those of `FARS` at which one of so many impostor pairs is accepted, and no more than `MOST_ACCEPTED`; and `always`."""
    return tuple(far for far in FARS if far == always or 1 <= far * impostor_pairs <= MOST_ACCEPTED)
