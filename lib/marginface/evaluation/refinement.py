"""Cleaning training data (ArcFace §3.1.1): images too far from their identity's centre are removed.

The paper ranks the images of each identity by their distance to its centre, removes those beyond a threshold automatically
and looks at those around it by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from marginface.evaluation.verification import unit

BLOCK = 65536  # images at a time: a training set may be a memory map


@dataclass(frozen=True)
class Refinement:
    """What refinement says of N images.

    angles: (N,) float64, radians from each image to its identity's centre.
    keep: (N,) bool, what stays.
    review: (N,) bool, what is near enough to the threshold to be looked at.
    """

    angles: NDArray[np.float64]
    keep: NDArray[np.bool_]
    review: NDArray[np.bool_]


def refine(
    embeddings: ArrayLike, labels: ArrayLike, max_angle: float, min_images: int = 1, review_within: float = 0.0
) -> Refinement:
    """Removes images further than `max_angle` from their centre, then identities that keep fewer than `min_images`.

    Arguments: embeddings (N, d) float, of any length, an array or a memory map; labels (N,) int, any numbers;
        max_angle, review_within: radians.
    Raises: ValueError for shapes that differ, embeddings that are not finite or zero, and an identity whose images
        cancel out.
    """
    if not 0 <= max_angle <= np.pi or review_within < 0 or min_images < 1:
        raise ValueError(
            f"need max_angle in [0, π], review_within >= 0 and min_images >= 1, not {max_angle}, {review_within}, {min_images}"
        )
    angles = centre_angles(embeddings, labels)
    identity = np.unique(labels, return_inverse=True)[1]
    keep = angles <= max_angle
    keep &= (np.bincount(identity, keep) >= min_images)[identity]
    return Refinement(angles, keep, np.abs(angles - max_angle) < review_within)


def centre_angles(embeddings: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """The angle between each image and the mean direction of its identity's images, (N,) float64 in radians."""
    images, given = np.asarray(embeddings), np.asarray(labels)
    if images.ndim != 2 or 0 in images.shape or given.shape != images.shape[:1] or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"need embeddings (N, d) and whole labels (N,), not {images.shape}, {given.shape} {given.dtype}")
    names, identity = np.unique(given, return_inverse=True)
    sums = np.zeros((len(names), images.shape[1]))
    for block, directions in _blocks(images):
        here, row = np.unique(identity[block], return_inverse=True)
        ones = np.ones(len(row), dtype=directions.dtype)
        sums[here] += sparse.csr_matrix((ones, (row, np.arange(len(row))))) @ directions
    centres = unit(sums, "identities' centres")
    angles = np.empty(len(images))
    for block, directions in _blocks(images):
        angles[block] = np.arccos(np.clip(np.einsum("nd,nd->n", directions, centres[identity[block]]), -1, 1))
    return angles


def ranking(angles: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Image numbers (N,), identity after identity, each from the image closest to its centre to the furthest."""
    return np.lexsort((np.asarray(angles), np.asarray(labels)))


def furthest(angles: ArrayLike, count: int) -> NDArray[np.bool_]:
    """Which `count` of N images are furthest from their centre, (N,) bool: what would be looked at first."""
    given = np.asarray(angles)
    if given.ndim != 1 or not 0 <= count <= len(given):
        raise ValueError(f"need angles (N,) and a count up to N, not {given.shape} and {count}")
    found = np.zeros(len(given), dtype=bool)
    found[np.argsort(-given, kind="stable")[:count]] = True
    return found


def precision_recall(removed: ArrayLike, noise: ArrayLike) -> tuple[float, float]:
    """The share of noise among what was removed, and of what was removed among the noise, for noise that was injected.

    Where nothing was removed nothing was removed wrongly: precision 1.
    """
    taken, wrong = np.asarray(removed), np.asarray(noise)
    if taken.shape != wrong.shape or taken.ndim != 1 or taken.dtype != np.bool_ or wrong.dtype != np.bool_:
        raise ValueError(f"need two (N,) bool, not {taken.shape} {taken.dtype} and {wrong.shape} {wrong.dtype}")
    if not wrong.any():
        raise ValueError("there is no injected noise to be found")
    hits = int((taken & wrong).sum())
    return hits / int(taken.sum()) if taken.any() else 1.0, hits / int(wrong.sum())


def _blocks(images: NDArray) -> Iterator[tuple[slice, NDArray[np.floating]]]:
    for start in range(0, len(images), BLOCK):
        block = slice(start, start + BLOCK)
        yield block, unit(images[block], f"embeddings from row {start} on")
