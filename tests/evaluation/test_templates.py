"""Media pooling against its definition, one template at a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginface.evaluation.templates import pool, pool_videos, template_scores, template_tars
from marginface.evaluation.verification import tar_at_far, unit


def one_by_one(vectors: np.ndarray, templates: np.ndarray, media: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same with loops."""
    features = []
    for template in np.unique(templates):
        inside = templates == template
        means = [
            np.mean([w * v for v, w, m in zip(vectors, weights, inside & (media == medium), strict=True) if m], axis=0)
            for medium in np.unique(media[inside])
        ]
        features.append(np.sum(means, axis=0) / np.linalg.norm(np.sum(means, axis=0)))
    return np.array(features)


@given(st.integers(1, 60), st.integers(0, 1000))
@settings(deadline=None)
def test_pooling_is_what_it_is_defined_to_be(count: int, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    embeddings = numbers.normal(size=(count, 5))
    templates, media = numbers.integers(-3, 5, count), numbers.integers(7, 12, count)
    weights = numbers.uniform(0.1, 3, count)
    features, names = pool(embeddings, templates, media, weights)
    np.testing.assert_array_equal(names, np.unique(templates))
    np.testing.assert_allclose(features, one_by_one(unit(embeddings), templates, media, weights), atol=1e-5)
    plain, _ = pool(embeddings, templates, media)
    np.testing.assert_allclose(plain, one_by_one(unit(embeddings), templates, media, np.ones(count)), atol=1e-5)
    assert features.dtype == np.float32


def test_a_long_video_counts_as_one_photo() -> None:
    photo, video = [2.0, 0.0], [[0.0, 1.0]] * 99
    features, _ = pool([photo, *video], [4] * 100, [1] + [2] * 99)
    np.testing.assert_allclose(features, [[0.5**0.5, 0.5**0.5]], rtol=1e-6)


def test_the_same_medium_in_two_templates_is_two() -> None:
    features, _ = pool([[1, 0], [1, 0], [0, 1]], [1, 2, 2], [5, 5, 5])
    np.testing.assert_allclose(features, [[1, 0], [0.5**0.5, 0.5**0.5]], rtol=1e-6)


def test_an_embeddings_length_may_be_its_quality() -> None:
    embeddings = np.array([[3.0, 0], [0, 1]])
    features, _ = pool(embeddings, [0, 0], [0, 1], weights=np.linalg.norm(embeddings, axis=1))
    np.testing.assert_allclose(features, unit([[3, 1]]), rtol=1e-6)


def test_a_video_is_the_mean_of_its_frames() -> None:
    features, names = pool_videos([[1, 0], [0, 5], [0, 1], [0, 1]], [9, 9, 9, 2])
    np.testing.assert_array_equal(names, [2, 9])
    np.testing.assert_allclose(features, unit([[0, 1], [1, 2]]), rtol=1e-6)


def test_a_failed_image_is_as_good_as_absent_and_a_failed_template_matches_nobody() -> None:
    numbers = np.random.default_rng(0)
    embeddings, templates, media = numbers.normal(size=(40, 6)), np.arange(40) % 8, np.arange(40) % 3
    failed = (np.arange(40) % 5 == 1) | (templates == 2)
    embeddings[failed] = 0
    features, names = pool(embeddings, templates, media, failed="non-match")
    expected, others = pool(embeddings[~failed], templates[~failed], media[~failed])
    np.testing.assert_array_equal(names, np.arange(8))
    np.testing.assert_allclose(features[others], expected, atol=1e-6)
    assert not features[2].any()
    left, right = (side.ravel() for side in np.mgrid[:8, :8])
    scores = template_scores(features, names, left, right).reshape(8, 8)
    cosines = features @ features.T
    cosines[2], cosines[:, 2] = -1, -1
    np.testing.assert_allclose(scores, cosines, atol=1e-6)
    assert tar_at_far(scores.ravel(), left == right, 0.5) <= 7 / 8
    with pytest.raises(ValueError, match="row 1 has length 0"):
        pool(embeddings, templates, media)
    with pytest.raises(ValueError, match="failed must be 'error' or 'non-match', not 'skip'"):
        pool(embeddings, templates, media, failed="skip")  # type: ignore[arg-type]


def test_all_may_fail_and_what_is_not_finite_is_no_failure() -> None:
    features, _ = pool(np.zeros((3, 2)), [1, 1, 2], [1, 2, 3], failed="non-match")
    np.testing.assert_array_equal(features, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="row 1 has length nan"):
        pool([[1.0, 0.0], [np.nan, 0.0]], [1, 2], [1, 2], failed="non-match")
    np.testing.assert_array_equal(
        pool([[1.0, 0.0], [0.0, 1.0]], [1, 2], [1, 1], weights=[1.0, 0.0], failed="non-match")[0], [[1, 0], [0, 0]]
    )


def test_scoring_says_how_far_it_is() -> None:
    features, names = pool(np.eye(2), [3, 5], [1, 1])
    told: list[int] = []
    template_scores(features, names, [3] * 40_000, [5] * 40_000, told.append)
    assert told == [16384, 16384, 7232]


def test_pairs_of_templates_are_scored_in_blocks() -> None:
    numbers = np.random.default_rng(0)
    features, names = unit(numbers.normal(size=(50, 8)).astype(np.float32)), np.arange(50) * 3
    left, right = numbers.integers(0, 50, size=(2, 40_000))
    scores = template_scores(features, names, 3 * left, 3 * right)
    np.testing.assert_allclose(scores, (features @ features.T)[left, right], atol=1e-6)
    assert scores.dtype == np.float32


def test_rates_come_from_counts() -> None:
    """Of a million impostors exactly 100, 10 and 1 may pass."""
    impostors, genuine = np.arange(1_000_000) / 1e6, np.array([999_999.5, 999_990.5, 999_900.5, 999_898.5]) / 1e6
    scores, same = np.append(genuine, impostors), np.arange(1_000_004) < 4
    assert template_tars(scores, same) == {1e-4: 0.75, 1e-5: 0.5, 1e-6: 0.25}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"templates": [1]}, r"templates must be \(2,\) whole numbers, not \(1,\)"),
        ({"media": [1.5, 2.5]}, r"media must be \(2,\) whole numbers"),
        ({"weights": [1.0]}, r"weights must be \(2,\)"),
        ({"weights": [1.0, -1.0]}, "not negative"),
        ({"weights": [1.0, np.nan]}, "finite"),
        ({"weights": [1.0, 0.0]}, "templates, in ascending order, .* row 1 has length 0"),
        ({"embeddings": [[1.0, 0.0], [0.0, 0.0]]}, "row 1 has length 0"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"embeddings": [[1.0, 0], [0, 1]], "templates": [1, 2], "media": [1, 1]} | change
    with pytest.raises(ValueError, match=message):
        pool(**arguments)


def test_bad_pairs_are_named() -> None:
    features, names = pool(np.eye(2), [3, 5], [1, 1])
    with pytest.raises(ValueError, match="right names template 4 in pair 1, which has no image"):
        template_scores(features, names, [3, 5], [5, 4])
    with pytest.raises(ValueError, match="left names template 99 in pair 0"):
        template_scores(features, names, [99], [3])
    with pytest.raises(ValueError, match="equally long, not 1 and 2"):
        template_scores(features, names, [3], [3, 5])
