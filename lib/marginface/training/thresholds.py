"""Thresholds of a network: the score at a wanted FAR, kept in a small JSON file beside the network."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from marginface.data.files import printable, quoted, read_bytes, writing
from marginface.evaluation.reports import Told, report
from marginface.evaluation.verification import impostors_allowed
from marginface.training.enrolment import Compared
from marginface.training.networks import Network

ENDING = ".thresholds.json"
CURVE_POINTS = 60


@dataclass(frozen=True)
class Threshold:
    """The least score that no more than the share `far` of impostor pairs reaches; same person is score >= threshold.

    low, high: its 95 % interval over people drawn anew. tar: the share of genuine pairs that reach it. impostors, people, data:
    on how many pairs, of how many people (0 where nobody knows), of what it was found. curve: [score, FAR] pairs, by which one
    can say what FAR a score has.
    """

    far: float
    score: float
    low: float
    high: float
    tar: float
    impostors: int
    people: int
    data: str
    curve: tuple[tuple[float, float], ...] = ()

    def far_of(self, score: float) -> tuple[float, bool]:
        """The FAR of a threshold at this score, and whether it is less than the pairs could tell (then it is the least)."""
        scores, fars = np.array(self.curve).T  # from the lowest score on
        if score > scores[-1]:
            return float(fars[-1]), True
        return float(np.exp(np.interp(score, scores, np.log(fars)))), False


def find(compared: Compared, far: float, progress: Told | None = None) -> Threshold:
    """The threshold at a FAR; `progress` as in `report`.

    Raises: ValueError where there are too few impostor pairs for the FAR to let one through.
    """
    same = compared.same
    impostors = np.sort(compared.scores[~same])[::-1]
    if impostors_allowed(far, len(impostors)) < 1:
        raise ValueError(
            f"FAR {far:g} takes {math.ceil(1 / far):,} impostor pairs to mean anything, and {compared.label} has "
            f"{len(impostors):,}: take more people, or a larger FAR"
        )
    found = report(
        compared.scores,
        same,
        compared.left,
        compared.right,
        folds=None,
        failed=compared.failed,
        fars=(far,),
        progress=progress,
    )
    (point,) = found.points
    counts = np.unique(np.geomspace(1, len(impostors), CURVE_POINTS).astype(np.int64))
    return Threshold(
        far=far,
        score=point.threshold.value,
        low=point.threshold.low,
        high=point.threshold.high,
        tar=point.tar.value,
        impostors=found.impostors,
        people=found.people,
        data=compared.label,
        curve=tuple((float(impostors[count - 1]), float(count / len(impostors))) for count in counts.tolist()[::-1]),
    )


def choose(network: Network, far: float | None = None) -> Threshold | None:
    """The threshold kept for a FAR, or that of the least one; None where none is kept.

    Raises: ValueError for a FAR of which none is kept, naming those that are.
    """
    kept = read(network)
    if far is None:
        return kept[-1] if kept else None
    for each in kept:
        if math.isclose(each.far, far):
            return each
    there = ", ".join(f"{each.far:g}" for each in kept) or "none"
    raise ValueError(f"{printable(network.path)}: no threshold is kept for FAR {far:g}; there are {there}")


def beside(path: Path) -> Path:
    """Where the thresholds of a network are kept."""
    return path.with_name(path.stem + ENDING)


def keep(network: Network, threshold: Threshold) -> Path:
    """Keep a threshold beside its network; another one at the same FAR is replaced, and those of other weights are dropped."""
    others = [each for each in read(network) if not math.isclose(each.far, threshold.far)]
    kept = sorted([*others, threshold], key=lambda each: -each.far)
    path = beside(network.path)
    with writing(path) as file:
        plain = {"fingerprint": network.card.fingerprint, "thresholds": [asdict(each) for each in kept]}
        file.write(json.dumps(plain, indent=1).encode())
    return path


def read(network: Network) -> list[Threshold]:
    """The thresholds of a network: in its card, and beside it where they are of these weights. Raises: ValueError naming a
    file that is damaged."""
    found = _thresholds(network.card.thresholds, network.path)
    path = beside(network.path)
    if path.exists():
        try:
            plain = json.loads(read_bytes(path))
            of, listed = plain["fingerprint"], plain["thresholds"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{printable(path)}: not a file of thresholds ({type(error).__name__})") from error
        if of == network.card.fingerprint:
            found |= _thresholds(listed, path)
    return sorted(found.values(), key=lambda each: -each.far)


def stale(network: Network) -> bool:
    """Whether there are thresholds beside a network, and they are of other weights."""
    path = beside(network.path)
    return path.exists() and json.loads(read_bytes(path)).get("fingerprint") != network.card.fingerprint


def _thresholds(listed: Any, path: Path) -> dict[float, Threshold]:
    """By their FARs."""
    if not isinstance(listed, list | tuple):
        raise ValueError(f"{printable(path)}: not a file of thresholds (expected a list of them, got {quoted(str(listed))})")
    return {found.far: found for found in (_threshold(each, path) for each in listed)}


def _threshold(plain: Any, path: Path) -> Threshold:
    try:
        curve = tuple((float(score), float(far)) for score, far in plain["curve"])
        found = Threshold(**plain | {"curve": curve})
        if not (0 < found.far < 1 and -1 <= found.score <= 2 and all(-2 <= s <= 2 and 0 < f <= 1 for s, f in curve) and curve):
            raise ValueError("numbers out of range")
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ValueError(f"{printable(path)}: a threshold in it is damaged ({type(error).__name__}: {error})") from error
    return found
