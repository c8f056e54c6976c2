"""Accuracy over folds, TAR at FAR and curves: against searches through all thresholds, and InsightFace's own numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate

from marginface.evaluation.verification import (
    above,
    accuracy_at,
    auc,
    best_threshold,
    det,
    eer,
    far_threshold,
    fold_numbers,
    impostors_allowed,
    insightface_accuracy,
    insightface_roc,
    insightface_tar_at_far,
    kfold_accuracy,
    mirrored,
    pair_scores,
    roc,
    tar_at_far,
    unit,
)

SCORES = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.1, 0.0, -0.3])
SAME = np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)


@st.composite
def pairs(draw: st.DrawFn, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, of both kinds of pairs."""
    count = draw(st.integers(least, 40))
    scores = draw(hnp.arrays(np.float64, count, elements=st.integers(-8, 8).map(lambda i: i / 8)))
    same = draw(hnp.arrays(np.bool_, count))
    same[:2] = [True, False]
    return scores, same


def every_threshold(scores: np.ndarray) -> np.ndarray:
    """All scores, and one above them: every way to accept the highest."""
    return np.append(np.unique(scores), scores.max() + 1)


def blobs(pairs: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings of pairs of which half share a direction, in the order of LFW's folds."""
    numbers = np.random.default_rng(seed)
    same = np.arange(pairs) // (pairs // 20) % 2 == 0
    left, right = numbers.normal(size=(2, pairs, 16))
    right[same] = 0.8 * left[same] + right[same]
    return unit(left), unit(right), same


def test_a_case_that_can_be_worked_out_by_hand() -> None:
    """Everything is separable but the genuine pair at 0.2 and the impostor at 0.6."""
    folds = np.array([1, 2, 1, 2, 1, 2, 1, 2])
    result = kfold_accuracy(SCORES, SAME, folds)
    # fold 1 by fold 2's 0.8, 0.2 | 0.1, -0.3: the middle of 0.1 and 0.2; fold 2 by 0.9, 0.7 | 0.6, 0.0
    np.testing.assert_allclose(result.thresholds, [0.15, 0.65])
    np.testing.assert_array_equal(result.correct, [1, 1, 1, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(result.per_fold, [0.75, 0.75])
    assert (result.accuracy, result.std) == (0.75, 0)
    assert result.interval[0] < 0.75 < result.interval[1]
    assert result.correct.dtype == np.bool_


@given(pairs())
def test_the_best_threshold_is_as_good_as_any(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, same = data
    best = max(accuracy_at(scores, same, t) for t in every_threshold(scores))
    assert accuracy_at(scores, same, best_threshold(scores, same)) == best


def test_of_equally_good_thresholds_the_middle_of_the_widest_gap_counts() -> None:
    scores = [0.0, 0.1, 0.2, 0.8]  # one error wherever it is cut but at the ends; 0.2 to 0.8 is the widest gap
    assert best_threshold(scores, [False, True, False, True]) == pytest.approx(0.5)
    assert best_threshold(-np.array(scores[::-1]), [False, True, False, True]) == pytest.approx(-0.5)


def test_scores_that_tell_nothing_accept_or_reject_all_with_a_finite_threshold() -> None:
    assert best_threshold([0.5, 0.5, 0.5], [True, True, False]) == 0.5
    assert best_threshold([0.5, 0.5, 0.5], [True, False, False]) > 0.5
    assert best_threshold([0.5, 0.5, 0.5], [False, False, True]) > 0.5


@pytest.mark.parametrize("low", [0.5, 5e-324, -5e-324, 1.7e308])
def test_a_threshold_separates_neighbouring_floats(low: float) -> None:
    assert (
        accuracy_at([low, np.nextafter(low, np.inf)], [False, True], best_threshold([low, np.nextafter(low, np.inf)], [0, 1]))
        == 1
    )


@given(pairs(least=12), st.integers(2, 4), st.randoms(use_true_random=False))
def test_folds_agree_with_a_search_through_all_thresholds(data: tuple[np.ndarray, np.ndarray], folds: int, random: Any) -> None:
    """Each fold's accuracy is one that some threshold, best on the other folds, gives."""
    scores, same = data
    numbers = np.array([random.randrange(folds) for _ in scores])
    numbers[:folds] = np.arange(folds)
    if any(same[numbers != f].all() or not same[numbers != f].any() for f in range(folds)):
        with pytest.raises(ValueError, match="need both genuine and impostor pairs"):
            kfold_accuracy(scores, same, numbers)
        return
    result = kfold_accuracy(scores, same, numbers)
    for f in range(folds):
        test, train = numbers == f, numbers != f
        thresholds = every_threshold(scores[train])
        share = np.array([np.mean((scores[train] >= t) == same[train]) for t in thresholds])
        assert np.mean((scores[train] >= result.thresholds[f]) == same[train]) == share.max()
        assert result.per_fold[f] == np.mean((scores[test] >= result.thresholds[f]) == same[test])
        np.testing.assert_array_equal(result.correct[test], (scores[test] >= result.thresholds[f]) == same[test])


def test_pairs_may_come_in_any_order_when_their_folds_come_with_them() -> None:
    left, right, same = blobs()
    scores, folds = pair_scores(left, right), fold_numbers(10, 600)
    order = np.random.default_rng(1).permutation(600)
    straight, shuffled = kfold_accuracy(scores, same), kfold_accuracy(scores[order], same[order], folds[order])
    np.testing.assert_array_equal(straight.per_fold, shuffled.per_fold)
    np.testing.assert_array_equal(straight.correct[order], shuffled.correct)
    np.testing.assert_array_equal(straight.thresholds, shuffled.thresholds)
    assert 0.7 < straight.accuracy < 1


def test_folds_of_a_protocol_keep_their_numbers() -> None:
    """Folds 6-10 alone: five folds, each by the other four."""
    left, right, same = blobs()
    late, numbers = slice(300, 600), np.repeat(np.arange(1, 11), 60)
    result = kfold_accuracy(pair_scores(left, right)[late], same[late], numbers[late])
    assert len(result.per_fold) == 5
    np.testing.assert_array_equal(result.per_fold, kfold_accuracy(pair_scores(left, right)[late], same[late], 5).per_fold)


def test_blocks_are_cut_as_scikit_learn_cuts_them() -> None:
    from sklearn.model_selection import KFold

    for pairs, folds in [(10, 3), (6000, 10), (7, 7)]:
        expected = np.empty(pairs, dtype=int)
        for f, (_, test) in enumerate(KFold(folds).split(np.zeros(pairs))):
            expected[test] = f
        np.testing.assert_array_equal(fold_numbers(folds, pairs), expected)


@given(pairs(), st.one_of(st.floats(0, 1), st.integers(0, 12).map(lambda i: i / 12)))
def test_tar_at_far_is_the_best_of_all_thresholds(data: tuple[np.ndarray, np.ndarray], far: float) -> None:
    scores, same = data
    allowed = [t for t in every_threshold(scores) if np.mean(scores[~same] >= t) <= far]
    assert tar_at_far(scores, same, far) == max(np.mean(scores[same] >= t) for t in allowed)


@given(st.integers(1, 300), st.data())
def test_a_count_is_allowed_where_its_rate_is(impostors: int, data: st.DataObject) -> None:
    """k of n is allowed at k / n, whatever the rounding: 29 of 100 at 0.29."""
    count = data.draw(st.integers(0, impostors))
    assert impostors_allowed(count / impostors, impostors) == count


@given(pairs())
def test_the_curve_has_every_point_once(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, same = data
    curve = roc(scores, same)
    assert len(curve.thresholds) == len(np.unique(scores)) + 1
    for far, tar, threshold in zip(curve.far, curve.tar, curve.thresholds, strict=True):
        assert (far, tar) == (np.mean(scores[~same] >= threshold), np.mean(scores[same] >= threshold))
    assert (curve.far[0], curve.tar[0], curve.far[-1], curve.tar[-1]) == (0, 0, 1, 1)


def test_the_curve_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import roc_curve

    left, right, same = blobs()
    scores = pair_scores(left, right).round(2)
    far, tar, _ = roc_curve(same, scores, drop_intermediate=False)
    curve = roc(scores, same)
    np.testing.assert_allclose(curve.far, far)
    np.testing.assert_allclose(curve.tar, tar)


@given(pairs())
def test_the_area_is_the_share_of_genuine_pairs_above_impostor_pairs(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, same = data
    genuine, impostors = scores[same][:, None], scores[~same]
    assert auc(scores, same) == pytest.approx(np.mean((genuine > impostors) + (genuine == impostors) / 2), abs=1e-12)
    curve = roc(scores, same)
    assert auc(scores, same) == pytest.approx(integrate.trapezoid(curve.tar, curve.far))
    assert auc(-scores, same) == pytest.approx(1 - auc(scores, same))


def test_areas_that_can_be_worked_out_by_hand() -> None:
    assert auc(SCORES, SAME) == 15 / 16  # of 16 only 0.2 < 0.6
    assert auc([0.5, 0.5, 0.5], [True, False, False]) == 0.5
    assert auc([0.9, 0.1], [True, False]) == 1


@given(pairs())
def test_a_det_curve_has_both_errors_at_every_threshold(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, same = data
    curve = det(scores, same)
    assert len(curve.thresholds) == len(np.unique(scores)) + 1
    for far, frr, threshold in zip(curve.far, curve.frr, curve.thresholds, strict=True):
        assert (far, frr) == (np.mean(scores[~same] >= threshold), np.mean(scores[same] < threshold))
    assert (curve.far[0], curve.frr[0], curve.far[-1], curve.frr[-1]) == (0, 1, 1, 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@given(pairs(), st.floats(0, 1), st.integers(0, 3))
def test_every_threshold_accepts_what_reaches_it(
    dtype: type, data: tuple[np.ndarray, np.ndarray], far: float, ulps: int
) -> None:
    """Scores that tie and scores that are neighbours, compared in their own precision."""
    scores: Any = data[0].astype(dtype)
    same = data[1]
    for _ in range(ulps):
        scores[::2] = np.nextafter(scores[::2], dtype(2))
    assert np.mean(scores[same] >= far_threshold(scores, same, far)) == tar_at_far(scores, same, far)
    assert np.mean(scores[~same] >= far_threshold(scores, same, far)) <= far
    best = max(np.mean((scores >= t) == same) for t in [*np.unique(scores), dtype(np.inf)])
    assert np.mean((scores >= best_threshold(scores, same)) == same) == best
    curve = roc(scores, same)
    for i in (0, len(curve.far) // 2, -1):
        assert np.mean(scores[same] >= float(curve.thresholds[i])) == curve.tar[i]


@given(pairs(), st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.125, 0.3]))
def test_what_is_within_the_tie_is_not_accepted(data: tuple[np.ndarray, np.ndarray], far: float, tie: float) -> None:
    scores, same = data
    impostors = np.sort(scores[~same])[::-1]
    allowed = impostors_allowed(far, len(impostors))
    expected = 1.0 if allowed == len(impostors) else np.mean(scores[same] - tie > impostors[allowed])
    assert tar_at_far(scores, same, far, tie) == expected


@given(st.floats(-1, 1, width=32), st.sampled_from([0.0, 5e-7, 0.5]), st.sampled_from([np.float32, np.float64]))
def test_the_least_number_above(score: float, tie: float, dtype: type) -> None:
    found = dtype(above(score, tie, dtype))
    assert found - dtype(tie) > dtype(score)
    assert not np.nextafter(found, dtype(-np.inf)) - dtype(tie) > dtype(score)


def test_equal_error_rates() -> None:
    assert eer(SCORES, SAME) == pytest.approx(0.25)  # at 0.6: one of four impostors in, one of four genuine pairs out
    assert eer([0.9, 0.1], [True, False]) == 0
    assert eer([0.1, 0.9], [True, False]) == 1
    assert eer([0.5, 0.5], [True, False]) == pytest.approx(0.5)


@given(pairs())
def test_turning_everything_round_leaves_the_equal_error_rate(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, same = data
    assert eer(-scores, ~same) == pytest.approx(eer(scores, same))


def test_insightface_numbers_are_reproduced_exactly(shared: Path) -> None:
    files = sorted((shared.parent / "golden").glob("verification_*.npz"))
    if not files:
        pytest.skip("no golden values beside the data")
    for file in files:
        golden = np.load(file)
        left, right, same = golden["embeddings"][0::2], golden["embeddings"][1::2], golden["same"]
        np.testing.assert_array_equal(insightface_accuracy(left, right, same).per_fold, golden["accuracy"])
        curve = insightface_roc(left, right, same)
        np.testing.assert_array_equal(curve.tar, golden["tpr"])
        np.testing.assert_array_equal(curve.far, golden["fpr"])
        expected = tuple(golden[name].item() for name in ("val_at_far_1e3", "val_std", "far"))
        assert insightface_tar_at_far(left, right, same) == expected
        exact = kfold_accuracy(pair_scores(left, right), same)
        assert exact.accuracy == pytest.approx(golden["accuracy"].mean(), abs=0.002)


def test_insightface_mode_is_its_loop_written_out() -> None:
    left, right, same = blobs(seed=3)
    distances, folds, grid = np.square(left - right).sum(axis=1), fold_numbers(10, 600), np.arange(0, 4, 0.01)
    result = insightface_accuracy(left, right, same)
    for f in range(10):
        train, test = folds != f, folds == f
        best = grid[np.argmax([np.mean((distances[train] < t) == same[train]) for t in grid])]
        assert result.thresholds[f] == best
        assert result.per_fold[f] == np.mean((distances[test] < best) == same[test])


def test_a_pair_at_a_threshold_is_rejected_in_insightface_mode() -> None:
    left, right = np.zeros((4, 1)), np.array([[0.0], [0.5], [0.0], [0.5]])
    curve = insightface_roc(left, right, [True, True, False, False], folds=np.array([0, 0, 1, 1]))
    assert (curve.tar[0], curve.tar[1]) == (0, 0.25)  # a fold without genuine pairs counts as zero, as in the public code
    assert (curve.tar[25], curve.tar[26]) == (0.25, 0.5)
    assert (curve.far[25], curve.far[26]) == (0.25, 0.5)


def test_a_far_out_of_reach_accepts_nothing_in_insightface_mode() -> None:
    left = np.eye(4)
    right = np.array([left[0], left[1], -left[2], -left[3]])  # squared distances 0 and 4: the last threshold is 3.999
    same = [True, True, False, False]
    assert insightface_tar_at_far(left, right, same, folds=np.array([0, 1, 0, 1])) == (0, 0, 0)


def test_embeddings_get_length_one() -> None:
    vectors = unit(np.array([[3, 4], [0, -2]]))
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0.0, -1.0]], rtol=1e-6)
    assert unit(np.eye(2)).dtype == np.float64
    assert unit(np.eye(2, dtype=np.float16)).dtype == np.float32


def test_a_mirror_image_is_added_before_the_length_is_taken() -> None:
    np.testing.assert_allclose(mirrored([[3.0, 0.0]], [[0.0, 4.0]]), [[0.6, 0.8]])


def test_scores_are_cosines() -> None:
    left, right = np.array([[2, 0], [1, 1], [0, 3]]), np.array([[5, 0], [0, 1], [0, -1]])
    np.testing.assert_allclose(pair_scores(left, right), [1, 0.5**0.5, -1], rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_scores_in_low_precision_are_fine(dtype: type) -> None:
    left, right, same = blobs()
    scores: np.ndarray = pair_scores(left, right).astype(dtype)
    np.testing.assert_array_equal(kfold_accuracy(scores, same).correct, kfold_accuracy(scores.astype(float), same).correct)


BAD_PAIRS = [
    ([0.1, 0.2], [True], r"must both be \(P,\), not \(2,\) and \(1,\)"),
    ([[0.1], [0.2]], [[True], [False]], r"must both be \(P,\)"),
    ([0.1, np.nan], [True, False], "pair 1 has nan"),
    ([0.1, np.inf], [True, False], "pair 1 has inf"),
    ([0.1, 0.2], [True, True], "not 2 and 0"),
    ([0.1, 0.2], [False, False], "not 0 and 2"),
    ([0.1, 0.2], [0, 2], "must be bool"),
    ([], [], "need genuine and impostor pairs"),
]


@pytest.mark.parametrize(("scores", "same", "message"), BAD_PAIRS)
def test_bad_pairs_are_named(scores: Any, same: Any, message: str) -> None:
    calls: list[Any] = [
        kfold_accuracy,
        best_threshold,
        roc,
        det,
        auc,
        eer,
        lambda s, t: far_threshold(s, t, 0.1),
        lambda s, t: tar_at_far(s, t, 0.1),
        lambda s, t: accuracy_at(s, t, 0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call(scores, same)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (1, "two are the least"),
        (9, "every fold needs a pair"),
        (2.5, "whole numbers"),
        (True, "whole numbers"),
        ([1, 2, 3], r"each of 8 pairs, not \(3,\)"),
        ([3] * 8, "all pairs are in fold 3"),
        ([1, 1, 1, 1, 2, 2, 2, 2], "outside fold 1 need both"),
    ],
)
def test_bad_folds_are_named(folds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kfold_accuracy(SCORES, SAME, folds)


@pytest.mark.parametrize("far", [-0.1, 1.1, np.nan])
def test_a_rate_out_of_range_is_named(far: float) -> None:
    with pytest.raises(ValueError, match=r"far must lie in \[0, 1\]"):
        tar_at_far(SCORES, SAME, far)
    with pytest.raises(ValueError, match=r"far must lie in \[0, 1\]"):
        insightface_tar_at_far(np.eye(8), np.eye(8), SAME, far)


def test_a_threshold_that_is_not_finite_is_named() -> None:
    with pytest.raises(ValueError, match="threshold must be finite, not nan"):
        accuracy_at(SCORES, SAME, np.nan)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 0], [0, 0]], "row 1 has length 0"),
        ([[np.nan, 0.0]], "row 0 has length nan"),
        ([[np.inf, 0.0]], "row 0 has length inf"),
        (np.full((1, 2), 3e38, dtype=np.float32), "row 0 has length inf"),
        (np.full((1, 2), 1e-45, dtype=np.float32), "longer than zero"),
        ([1.0, 2.0], r"must be \(N, d\), not \(2,\)"),
        (np.empty((0, 4)), r"not \(0, 4\)"),
    ],
)
def test_bad_embeddings_are_named(vectors: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unit(vectors)


def test_halves_of_pairs_that_do_not_fit_are_named() -> None:
    for call in (pair_scores, mirrored, lambda a, b: insightface_accuracy(a, b, [True, False])):
        with pytest.raises(ValueError, match=r"not \(2, 2\) and \(3, 3\)"):
            call(np.eye(2), np.eye(3))
    with pytest.raises(ValueError, match="scores must be finite; pair 0"):
        insightface_accuracy([[np.nan], [1.0]], [[1.0], [1.0]], [True, False], 2)
