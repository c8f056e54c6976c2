"""Contrasts of trainings against textbooks, and families of claims."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marginface.evaluation.crossed import Contrast, contrast, pooled, seeds_needed, step_down

KNOWN = Contrast(mean=-0.1, seeds=0.0016, people=0.0, seeds_freedom=8, people_freedom=1, runs=5)


def test_two_rows_with_the_same_seeds_are_a_paired_t_test() -> None:
    logs = np.random.default_rng(0).normal(0, 1, (2, 6)) + np.arange(6)
    found, test = contrast(logs, [-1, 1]), stats.ttest_rel(logs[1], logs[0])
    assert found.differs(0) == pytest.approx(test.pvalue)
    assert found.interval() == pytest.approx(tuple(test.confidence_interval()))


def test_two_rows_without_a_common_seed_are_students_t_test() -> None:
    numbers = np.random.default_rng(1)
    logs = np.full((2, 7), np.nan)
    logs[0, :3], logs[1, 3:] = numbers.normal(0, 1, 3), numbers.normal(1, 1, 4)
    found, test = contrast(logs, [-1, 1]), stats.ttest_ind(logs[1, 3:], logs[0, :3])
    assert (found.differs(0), found.runs) == (pytest.approx(test.pvalue), 3)


def test_the_spread_is_pooled_as_in_a_two_way_analysis_of_variance() -> None:
    logs = np.random.default_rng(2).normal(0, 1, (5, 4)) + 3 * np.arange(4)
    rest = logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=0) + logs.mean()
    found = contrast(logs, [-1, 0.5, 0.5, 0, 0])
    assert found.seeds == pytest.approx((rest**2).sum() / 12 * 1.5 / 4)
    assert found.seeds_freedom == 12


def test_some_seeds_in_common_lie_between() -> None:
    """The same runs, but for one that another seed had: what all have in common helps a little less."""
    logs = np.random.default_rng(3).normal(0, 0.1, (4, 5)) + np.arange(5)
    apart = np.full((4, 6), np.nan)
    apart[:, :5] = logs
    apart[3, 4], apart[3, 5] = np.nan, logs[3, 4]
    paired, partly = contrast(logs, [-1, 0, 0, 1]), contrast(apart, [-1, 0, 0, 1])
    assert paired.mean == pytest.approx(partly.mean)
    assert paired.seeds < partly.seeds < (logs[0].var(ddof=1) + logs[3].var(ddof=1)) / 5


def test_the_variance_of_people_is_what_different_seeds_agree_on() -> None:
    """Influences with a part that all seeds share, of variance 1, and a part of each run, of variance 9."""
    numbers = np.random.default_rng(4)
    people = 20_000
    influences = numbers.normal(0, 3, (2, 4, people))
    influences[1] += numbers.normal(0, 1, people)
    found = contrast(numbers.normal(0, 1, (2, 4)), [-1, 1], [influences])
    assert found.people / people == pytest.approx(1, abs=0.15)
    assert contrast(numbers.normal(0, 1, (2, 4)), [-1, 1], [influences - influences.mean(axis=1, keepdims=True)]).people == 0


def test_people_of_two_tests_add_up() -> None:
    numbers = np.random.default_rng(5)
    first, second = np.repeat(numbers.normal(0, 1, (2, 2, 1, 30)), 3, axis=2)
    logs = numbers.normal(0, 1, (2, 3))
    each = [contrast(logs, [-1, 1], [part]).people for part in (first, second)]
    assert contrast(logs, [-1, 1], [first, second]).people == pytest.approx(sum(each))


def test_two_experiments_on_other_people_are_averaged() -> None:
    """Two rows on each half, whose runs share no column: a quarter of the sum of both variances of the people."""
    numbers = np.random.default_rng(6)
    first, second = numbers.normal(0, 1, (2, 2, 3, 30)) + numbers.normal(0, 1, (2, 2, 1, 30))
    logs, nothing = numbers.normal(0, 1, (2, 2, 3)), np.full((2, 3), np.nan)
    each = [contrast(half, [-1, 1], [part]) for half, part in zip(logs, (first, second), strict=True)]
    both = contrast(
        np.block([[logs[0], nothing], [nothing, logs[1]]]),
        [-0.5, 0.5, -0.5, 0.5],
        [_placed(first, 0), _placed(second, 1)],
    )
    assert both.mean == pytest.approx(np.mean([one.mean for one in each]))
    assert both.people == pytest.approx(sum(one.people for one in each) / 4)


def _placed(part: np.ndarray, half: int) -> np.ndarray:
    """The influences (2, 3, G) of a half among those of both, (4, 6, G)."""
    whole = np.zeros((4, 6, part.shape[2]))
    whole[2 * half : 2 * half + 2, 3 * half : 3 * half + 3] = part
    return whole


def test_one_run_says_nothing() -> None:
    found = contrast([[0.1], [0.3]], [-1, 1], [np.ones((2, 1, 10))])
    assert found.mean == pytest.approx(0.2)
    assert np.isnan([*found.interval(), found.differs(0), found.within(1), found.outside(1)]).all()
    assert seeds_needed(found, 1.0) is None


def test_runs_that_agree_to_the_last_digit() -> None:
    found = contrast(np.zeros((3, 3)), [-1, 1, 0])
    assert (found.differs(0), found.interval()) == (1, (0, 0))
    assert found.differs(0.1) == 0


@given(st.floats(-0.3, 0.3), st.floats(0.01, 0.3))
def test_equivalence_is_two_one_sided_tests(mean: float, margin: float) -> None:
    found = Contrast(mean, 0.0016, 0.0004, 8, 50, 5)
    low, high = found.interval(0.9)
    assert (found.within(margin) < 0.05) == (-margin < low and high < margin)
    assert (found.outside(margin) < 0.05) == (low > margin or high < -margin)


@pytest.mark.parametrize("freedom", [2, 7.5, 60])
def test_what_is_detectable_is_detected_in_four_of_five_experiments(freedom: float) -> None:
    found = Contrast(0, 1e-12, 0, freedom, 1, 5)  # so little that a row which differs by it scatters no more
    usual = found.detectable(0.01) / found.error * (stats.chi2.median(freedom) / freedom) ** 0.5
    critical = stats.t.isf(0.005, freedom)
    assert stats.nct.sf(critical, freedom, usual) == pytest.approx(0.8, abs=1e-4)


def test_more_seeds_show_less_until_people_are_what_is_left() -> None:
    needed = seeds_needed(KNOWN, 0.1)
    assert needed is not None
    assert KNOWN.with_runs(needed).detectable() <= 0.1 < KNOWN.with_runs(needed - 1).detectable()
    assert seeds_needed(Contrast(0, 0.0016, 0.0036, 8, 99, 5), 0.1) is None


def test_with_one_hypothesis_a_claim_it_is_holms_procedure() -> None:
    assert step_down([[0.01], [0.02], [0.026]]).ravel().tolist() == [True, True, True]
    assert step_down([[0.01], [0.026], [0.03]]).ravel().tolist() == [True, False, False]
    assert step_down([[0.017], [0.001], [np.nan]]).ravel().tolist() == [True, True, False]


def test_a_claim_counts_as_long_as_one_of_its_sizes_is_possible() -> None:
    """0.03 is below 5 % only once the first claim has lost both its sizes."""
    assert step_down([[0.001, 0.001], [0.03, 0.9]])[1, 0]
    assert not step_down([[0.001, 0.9], [0.03, 0.9]])[1, 0]


def test_families_err_as_seldom_as_they_say() -> None:
    """The worst case: all claims true, independent, and each with a wrong size that is excluded for sure."""
    p = np.random.default_rng(0).uniform(0, 1, (4000, 5, 1))
    wrong = [step_down(np.hstack([family, np.full((5, 1), 1e-9)]))[:, 0].any() for family in p]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("logs", "weights", "message"),
    [
        ([[1.0, 2.0]], [1], r"add up to zero, not \(1, 2\)"),
        ([[1.0, 2.0]] * 2, [0, 0], "add up to zero"),
        ([[1.0, 2.0]] * 2, [1, -1, 0], "add up to zero"),
        ([[1.0, 2.0], [np.nan, np.nan]], [1, -1], "row 1 has no run"),
    ],
)
def test_bad_input_is_named(logs: list[list[float]], weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        contrast(logs, weights)


def test_a_mean_over_bases_is_a_t_test_over_them_where_they_have_nothing_in_common() -> None:
    """With independent bases that scatter more than their seeds say, it is Student's test of their contrasts."""
    numbers = np.random.default_rng(3)
    gains = np.array([-0.3, -0.1, 0.05, -0.4, -0.2])
    logs = np.concatenate([numbers.normal(0, 1e-3, (5, 4)), gains[:, None] + numbers.normal(0, 1e-3, (5, 4))])
    each = [contrast(logs, weights(5, [n])).mean for n in range(5)]
    found = pooled(logs[5:] - logs[:5], range(5))
    expected = stats.ttest_1samp(each, 0)
    assert found.mean == pytest.approx(np.mean(each))
    assert found.differs(0) == pytest.approx(expected.pvalue, rel=0.01)


def weights(k: int, chosen: Iterable[int]) -> np.ndarray:
    """Of k bases without and then with a term: those that are chosen."""
    w, chosen = np.zeros(2 * k), list(chosen)
    for n in chosen:
        w[n], w[k + n] = -1 / len(chosen), 1 / len(chosen)
    return w


@pytest.mark.parametrize("scatter", [0.0, 0.1], ids=["the same for all bases", "another for each base"])
@pytest.mark.parametrize("uneven", [False, True], ids=["all runs scatter alike", "a base's runs go together, and one's far"])
def test_intervals_of_a_mean_over_bases_hold_the_truth(scatter: float, uneven: bool) -> None:
    """Six bases, five seeds, two hundred people: what the term changes is common to all, a base's own, a run's and a person's.

    Where bases gain differently, an interval that takes these bases for all there are is too narrow.
    """
    k, S, G, truth, repeats = 6, 5, 200, -0.1, 600
    numbers = np.random.default_rng(round(1000 * scatter) + uneven)
    spread_of = np.tile([0.08 if uneven and n == 0 else 0.03 for n in range(k)], 2)[:, None]

    def drawn(spread: float, *shape: int) -> np.ndarray:
        return spread * numbers.standard_normal(shape)

    held, as_fixed = 0, 0
    for _ in range(repeats):
        moved = np.concatenate([np.zeros(k), truth + drawn(scatter, k)])
        person = sum(drawn(0.02, 2, *shape, G) for shape in ((1, 1), (k, 1), (k, S)))  # 2: without the term, and with it
        influences = np.reshape(person, (2 * k, S, G)) / G**0.5
        together = np.tile(drawn(0.04 * uneven, k, S), (2, 1))
        logs = moved[:, None] + drawn(0.05, 1, S) + together + spread_of * drawn(1.0, 2 * k, S) + influences.sum(axis=2)
        arrays = [influences - influences.mean(axis=2, keepdims=True)]
        mean = contrast(logs, weights(k, range(k)), arrays)
        found = pooled(logs[k:] - logs[:k], range(k), [array[k:] - array[:k] for array in arrays])
        inside = [low <= truth <= high for low, high in (found.interval(), mean.interval())]
        held, as_fixed = held + inside[0], as_fixed + inside[1]
    assert 0.93 <= held / repeats <= 0.97
    assert (as_fixed / repeats < 0.85) == (scatter > 0)


def test_one_base_is_no_sample_of_bases() -> None:
    with pytest.raises(ValueError, match="two of them or more, not 1"):
        pooled([[0.0, 0.1], [0.2, 0.4]], [0, 0])
