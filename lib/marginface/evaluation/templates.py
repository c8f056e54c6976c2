"""Templates: one embedding from several images of a person, as IJB-B, IJB-C and videos need it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from marginface.evaluation.verification import tar_at_far, unit


def pool(
    embeddings: ArrayLike, templates: ArrayLike, media: ArrayLike, weights: ArrayLike | None = None
) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """Templates by media pooling: the mean within a medium, so that a long video counts no more than a photo, then the sum.

    Arguments: embeddings (N, d), scaled to length 1 first; templates, media (N,) int: what each image belongs to; weights
        (N,) of each image's quality, such as its embedding's length before, or the detector's score. A weight multiplies
        the embedding and nothing divides by it again, as in InsightFace's IJB code: a poor medium counts less.
    Returns: (T, d) float32 of length 1, and the (T,) ascending template numbers.
    Raises: ValueError for shapes that differ, weights that are negative or not finite, and templates of length zero.
    """
    vectors = unit(embeddings)
    count = len(vectors)
    template, medium = _numbers(templates, count, "templates"), _numbers(media, count, "media")
    quality = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
    if quality.shape != (count,) or not np.isfinite(quality).all() or (quality < 0).any():
        raise ValueError(f"weights must be ({count},), finite and not negative")
    names, row = np.unique(template, return_inverse=True)
    different, column = np.unique(medium, return_inverse=True)
    _, group, sizes = np.unique(row * len(different) + column, return_inverse=True, return_counts=True)
    shares = (quality / sizes[group]).astype(vectors.dtype)
    sums = sparse.csr_matrix((shares, (row, np.arange(count))), shape=(len(names), count)) @ vectors
    return unit(sums, "templates, in ascending order,").astype(np.float32, copy=False), names


def pool_videos(embeddings: ArrayLike, videos: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """One embedding a video, the mean of its frames', as for YTF: a template with a single medium."""
    return pool(embeddings, videos, videos)


def template_scores(features: NDArray[np.float32], names: ArrayLike, left: ArrayLike, right: ArrayLike) -> NDArray[np.float32]:
    """Cosines of pairs of templates, (P,) float32, computed in blocks: IJB-C has 15.7 million pairs.

    Arguments: features (T, d) and names (T,) ascending, as `pool` returns them; left, right (P,) template numbers.
    Raises: ValueError for a number that is not among the names.
    """
    numbers = np.asarray(names)
    places = [_places(numbers, side, name) for side, name in ((left, "left"), (right, "right"))]
    if len(places[0]) != len(places[1]):
        raise ValueError(f"left and right must be equally long, not {len(places[0])} and {len(places[1])}")
    scores = np.empty(len(places[0]), dtype=np.float32)
    for start in range(0, len(scores), 16384):
        block = slice(start, start + 16384)
        scores[block] = np.einsum("pd,pd->p", features[places[0][block]], features[places[1][block]])
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
