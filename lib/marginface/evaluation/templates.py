"""Templates: one embedding from several images of a person, as IJB-B, IJB-C and videos need it."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from marginface.evaluation.embeddings import unit
from marginface.evaluation.verification import tar_at_far

Failed = Literal["error", "non-match"]


def pool(
    embeddings: ArrayLike,
    templates: ArrayLike,
    media: ArrayLike,
    weights: ArrayLike | None = None,
    failed: Failed = "error",
) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """Templates by media pooling: the mean within a medium, so that a long video counts no more than a photo, then the sum.

    Arguments: embeddings (N, d), scaled to length 1 first; templates, media (N,) int: what each image belongs to; weights
        (N,) of each image's quality, such as its embedding's length before, or the detector's score. A weight multiplies
        the embedding and nothing divides by it again, as in InsightFace's IJB code: a poor medium counts less; failed:
        what an embedding of zeros is, such as of an image without a face that could be found. As "non-match" it counts as
        if it were not there, and a template of nothing else (or of weights 0) comes out as zeros, which match nobody
        (`template_scores`).
    Returns: (T, d) float32 of length 1, and the (T,) ascending template numbers.
    Raises: ValueError for shapes that differ, weights that are negative or not finite, and, unless `failed` says otherwise,
        embeddings and templates of length zero.
    """
    check_failed(failed)
    vectors, there = _directions(embeddings, failed)
    count = len(vectors)
    template, medium = _numbers(templates, count, "templates"), _numbers(media, count, "media")
    quality = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
    if quality.shape != (count,) or not np.isfinite(quality).all() or (quality < 0).any():
        raise ValueError(f"weights must be ({count},), finite and not negative")
    names, row = np.unique(template, return_inverse=True)
    different, column = np.unique(medium, return_inverse=True)
    group = np.unique(row * len(different) + column, return_inverse=True)[1]
    sizes = np.bincount(group, there)[group]
    shares = np.divide(quality, sizes, out=np.zeros(count), where=there).astype(vectors.dtype)
    sums = sparse.csr_matrix((shares, (row, np.arange(count))), shape=(len(names), count)) @ vectors
    if failed == "non-match":
        enrolled = sums.any(axis=1)
        sums[enrolled] = unit(sums[enrolled], "templates, in ascending order,") if enrolled.any() else 0
        return sums.astype(np.float32, copy=False), names
    return unit(sums, "templates, in ascending order,").astype(np.float32, copy=False), names


def _directions(embeddings: ArrayLike, failed: Failed) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Unit vectors, and which of them are there; those of the others do not matter."""
    given = np.asarray(embeddings)
    if failed == "error" or given.ndim != 2:
        return unit(given), np.ones(len(given), dtype=np.bool_)
    there = given.any(axis=1)
    return unit(given if there.all() else np.where(there[:, None], given, 1)), there


def check_failed(failed: str) -> None:
    """Raises: ValueError for another word than the two that there are."""
    if failed not in ("error", "non-match"):
        raise ValueError(f"failed must be 'error' or 'non-match', not {failed!r}")


def pool_videos(embeddings: ArrayLike, videos: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """One embedding a video, the mean of its frames', as for YTF: a template with a single medium."""
    return pool(embeddings, videos, videos)


def template_scores(
    features: NDArray[np.float32],
    names: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
    progress: Callable[[int], object] | None = None,
) -> NDArray[np.float32]:
    """Cosines of pairs of templates, (P,) float32, computed in blocks: IJB-C has 15.7 million pairs.

    A pair with a template of zeros, whose enrolment failed, scores -1: no threshold above that accepts it.

    Arguments: features (T, d) and names (T,) ascending, as `pool` returns them; left, right (P,) template numbers; progress:
        is told after each block how many pairs were in it.
    Raises: ValueError for a number that is not among the names.
    """
    numbers = np.asarray(names)
    places = [_places(numbers, side, name) for side, name in ((left, "left"), (right, "right"))]
    if len(places[0]) != len(places[1]):
        raise ValueError(f"left and right must be equally long, not {len(places[0])} and {len(places[1])}")
    enrolled = features.any(axis=1)
    scores = np.empty(len(places[0]), dtype=np.float32)
    for start in range(0, len(scores), 16384):
        block = slice(start, start + 16384)
        first, second = (places[side][block] for side in (0, 1))
        cosines = np.einsum("pd,pd->p", features[first], features[second])
        scores[block] = np.where(enrolled[first] & enrolled[second], cosines, -1)
        if progress is not None:
            progress(len(cosines))
    return scores


def template_tars(scores: ArrayLike, same: ArrayLike, fars: tuple[float, ...] = (1e-4, 1e-5, 1e-6)) -> dict[float, float]:
    """TAR at each FAR, by exact counts of the impostor pairs above every threshold (`tar_at_far`)."""
    return {far: tar_at_far(scores, same, far) for far in fars}


def _numbers(given: ArrayLike, count: int, name: str) -> NDArray[np.integer]:
    numbers = np.asarray(given)
    if numbers.shape != (count,) or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"{name} must be ({count},) whole numbers, not {numbers.shape} {numbers.dtype}")
    return numbers


def _places(names: NDArray[np.integer], wanted: ArrayLike, side: str) -> NDArray[np.int64]:
    numbers = np.asarray(wanted)
    places = np.minimum(np.searchsorted(names, numbers), len(names) - 1)
    missing = np.flatnonzero(names[places] != numbers)
    if len(missing):
        raise ValueError(f"{side} names template {numbers[missing[0]]} in pair {missing[0]}, which has no image")
    return places
