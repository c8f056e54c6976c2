"""Embeddings as the protocols take them: at length 1, with their mirror images', as cosines of pairs."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def unit(embeddings: ArrayLike, name: str = "embeddings") -> NDArray[np.floating]:
    """Embeddings (N, d) at length 1; float64 stays, all else becomes float32.

    Raises: ValueError for another shape, and for a row that is not finite or has length zero, naming the row.
    """
    vectors, lengths = lengths_of(embeddings, name)
    return vectors / lengths[:, None]


def mirrored(embeddings: ArrayLike, flipped: ArrayLike) -> NDArray[np.floating]:
    """One embedding from an image's and its mirror image's, (N, d) each: their sum, then length 1, as the public codes do."""
    left, right = same_shape(embeddings, flipped, "embeddings", "flipped")
    return unit(left + right, "embeddings + flipped")


def pair_scores(left: ArrayLike, right: ArrayLike) -> NDArray[np.float64]:
    """Cosines of embeddings (P, d) with their partners (P, d): (P,) float64 in [-1, 1]."""
    same_shape(left, right, "left", "right")
    (first, first_lengths), (second, second_lengths) = lengths_of(left, "left"), lengths_of(right, "right")
    products = np.einsum("pd,pd->p", first, second, dtype=np.float64)
    return np.clip(products / first_lengths / second_lengths, -1, 1)


def lengths_of(embeddings: ArrayLike, name: str) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Embeddings as `unit` takes them, with the lengths that it divides by."""
    vectors = np.asarray(embeddings)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f"{name} must be (N, d), not {vectors.shape}")
    vectors = vectors.astype(np.float64 if vectors.dtype == np.float64 else np.float32, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)).astype(vectors.dtype)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths >= np.finfo(vectors.dtype).tiny)))
    if len(bad):
        raise ValueError(f"{name} must be finite and longer than zero; row {bad[0]} has length {lengths[bad[0]]}")
    return vectors, lengths


def same_shape(left: ArrayLike, right: ArrayLike, left_name: str, right_name: str) -> tuple[NDArray, NDArray]:
    first, second = np.asarray(left), np.asarray(right)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"{left_name} and {right_name} must both be (P, d), not {first.shape} and {second.shape}")
    return first, second
