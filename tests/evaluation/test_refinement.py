"""Noise that is known is found."""

import math
from typing import Any

import numpy as np
import pytest

from marginface.evaluation import refinement
from marginface.evaluation.refinement import centre_angles, furthest, precision_recall, ranking, refine


def circle(*degrees: float) -> np.ndarray:
    """Points at these angles, of different lengths."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.arange(1, len(degrees) + 1)[:, None]


def noisy_identities(people: int = 40, images: int = 25, dim: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Identities with one image in ten swapped for another person's: embeddings, labels as given, what is noise."""
    numbers = np.random.default_rng(0)
    truth = np.repeat(np.arange(people), images)
    embeddings = 2 * numbers.normal(size=(people, dim))[truth] + numbers.normal(size=(len(truth), dim))
    noise = numbers.random(len(truth)) < 0.1
    labels = np.where(noise, (truth + numbers.integers(1, people, len(truth))) % people, truth)
    return embeddings, labels, noise


def test_angles_to_the_mean_direction() -> None:
    """20° and 40° have their centre at 30°, whatever their lengths; a single image is its own centre."""
    angles = centre_angles(circle(20, 170, 40), np.array([-7, 2, -7]))
    np.testing.assert_allclose(np.degrees(angles), [10, 0, 10], atol=1e-5)


def test_a_memory_map_is_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels, _ = noisy_identities()
    whole = centre_angles(embeddings, labels)
    monkeypatch.setattr(refinement, "BLOCK", 37)
    np.testing.assert_allclose(centre_angles(embeddings, labels), whole, atol=1e-12)


def test_far_images_go_first_and_then_what_is_left_of_small_identities() -> None:
    """Identity 0: three around 0° and one at 60°, centre near 15°. Identity 1: 100° and 160°, both 30° off."""
    embeddings, labels = circle(-2, 0, 2, 60, 100, 160), np.array([0, 0, 0, 0, 1, 1])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    result = refine(embeddings, labels, math.radians(31), review_within=math.radians(5))
    np.testing.assert_array_equal(result.keep, [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(result.review, [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(refine(embeddings, labels, math.radians(31), min_images=3).keep, [1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(refine(embeddings, labels, math.radians(29)).keep, [1, 1, 1, 0, 0, 0])
    assert refine(embeddings, labels, math.pi).keep.all()


def test_images_are_ranked_within_their_identity() -> None:
    np.testing.assert_array_equal(ranking([0.3, 0.1, 0.2, 0.4], [5, 5, 1, 1]), [2, 3, 1, 0])


def test_injected_noise_is_found() -> None:
    embeddings, labels, noise = noisy_identities()
    removed = ~refine(embeddings, labels, math.radians(60)).keep
    precision, recall = precision_recall(removed, noise)
    assert noise.sum() > 80
    assert precision > 0.95
    assert recall > 0.9


def test_precision_and_recall_by_hand() -> None:
    removed, noise = np.array([1, 1, 1, 0, 0], dtype=bool), np.array([1, 0, 1, 1, 1], dtype=bool)
    assert precision_recall(removed, noise) == (2 / 3, 2 / 4)
    assert precision_recall(np.zeros(5, dtype=bool), noise) == (1, 0)


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (np.eye(3), [0, 1], r"not \(3, 3\), \(2,\)"),
        (np.eye(2), [0.5, 1], "whole labels"),
        (np.zeros((0, 4)), np.zeros(0, dtype=int), "need embeddings"),
        ([[0.0, 0.0], [1.0, 0.0]], [0, 1], "from row 0 on must be finite and longer than zero; row 0"),
        ([[1.0, 0.0], [-1.0, 0.0]], [0, 0], "identities' centres must be finite and longer than zero; row 0"),
    ],
)
def test_bad_images_are_named(embeddings: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        centre_angles(embeddings, labels)


def test_bad_settings_are_named() -> None:
    for settings in ({"max_angle": 70}, {"max_angle": 1, "min_images": 0}, {"max_angle": 1, "review_within": -1}):
        with pytest.raises(ValueError, match="need max_angle in"):
            refine(np.eye(2), [0, 1], **settings)
    with pytest.raises(ValueError, match="no injected noise"):
        precision_recall(np.ones(2, dtype=bool), np.zeros(2, dtype=bool))
    with pytest.raises(ValueError, match=r"need two \(N,\) bool"):
        precision_recall(np.ones(2, dtype=bool), np.zeros(3, dtype=bool))


def test_the_furthest_are_as_many_as_asked_for() -> None:
    angles = np.array([0.2, 0.9, 0.1, 0.5, 0.5])
    assert furthest(angles, 2).tolist() == [False, True, False, True, False]
    assert not furthest(angles, 0).any()
    assert furthest(angles, 5).all()
    with pytest.raises(ValueError, match=r"a count up to N, not .* and 6"):
        furthest(angles, 6)
