"""The recount of InterFace's Borda sums, and chance against simulation."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from marginface.book.audit.numbers import borda, parameters


@pytest.fixture(scope="module")
def found() -> list[borda.Chance]:
    return borda.chances()


def test_the_rule_nearest_to_each_table() -> None:
    rules = [borda.nearest_rule(borda.printed(number, mend=True)) for number in borda.SELECTIONS]
    assert rules == ["max", "ordinal", "min", "min", "min"]


def test_with_one_digit_put_right_table_4_agrees_throughout() -> None:
    assert len(borda.disagreements([4, 5])) == 0
    as_printed = borda.disagreements([4], mend=False)
    assert (as_printed["benchmark"] == "LFW").sum() == 3
    assert (as_printed["benchmark"] == "sum").sum() == 3


def test_every_disagreement_of_the_other_tables() -> None:
    table = borda.disagreements([1, 2, 3])
    assert table.groupby("table").size().to_dict() == {"Table I": 1, "Table II": 8, "Table III": 4}
    swapped = table[(table["table"] == "Table II") & (table["benchmark"] != "sum")]
    assert swapped["printed → counted again"].tolist() == ["5 → 4", "4 → 5", "2 → 1", "1 → 2"]


def test_sums_that_do_not_add_up() -> None:
    table = borda.wrong_additions()
    assert table["printed points"].tolist() == ["4 + 2 + 4 + 2 + 3 = 15", "2 + 3 + 4 + 2 + 5 = 16", "3 + 2 + 5 + 1 + 2 = 13"]
    assert table["printed sum"].tolist() == [13, 14, 12]


def test_who_wins_under_which_rule() -> None:
    counts = {number: borda.printed(number, mend=True) for number in (2, 3, 4, 5)}
    wins = {number: {rule: borda.winners(count, rule) for rule in borda.RULES} for number, count in counts.items()}
    assert set(wins[2].values()) == {("0.2",)}
    assert wins[3]["min"] == ("0.1", "0.12")
    assert (wins[4]["min"], wins[4]["max"], wins[4]["average"]) == (("0.3",), ("0.6",), ("0.3", "0.6"))
    assert set(wins[5].values()) == {("10",)}


def test_leaving_a_benchmark_out() -> None:
    lost = borda.survival_table().set_index("table")["does not win alone without"]
    assert lost["Table V"] == "LFW, CFP-FP"
    count = borda.printed(5)
    points = borda.recount(count, "min")[1:].sum(axis=0)
    assert borda.without(count, 0, "min") == tuple(np.array(count.settings)[points == points.max()])


def test_chance_on_a_table_small_enough_to_write_down() -> None:
    """Two benchmarks and two settings: half the time one setting has both first places, half the time they share."""
    sums, probabilities = borda.null_sums(np.array([[1.0, 2.0], [1.0, 2.0]]))
    assert sums.tolist() == [[3, 3], [2, 4]] or sums.tolist() == [[2, 4], [3, 3]]
    assert probabilities.tolist() == [0.5, 0.5]
    assert borda.winning_sum(sums, probabilities) == {3.0: 0.5, 4.0: 0.5}


@settings(max_examples=20, deadline=None)
@given(arrays(np.float64, (3, 3), elements=st.sampled_from([1.0, 1.5, 2.0, 3.0])))
def test_chance_is_every_way_to_deal_the_points(points: np.ndarray) -> None:
    deals = [np.array(deal).sum(axis=0) for deal in product(*(list(permutations(row)) for row in points))]
    expected = np.array([deal.max() for deal in deals])
    for total, probability in borda.winning_sum(*borda.null_sums(points)).items():
        assert probability == pytest.approx((expected == total).mean())


@pytest.mark.slow
def test_chance_agrees_with_simulation(found: list[borda.Chance]) -> None:
    numbers = np.random.default_rng(0)
    for each in (found[1], found[3]):
        points = borda.recount(each.count, each.rule)
        drawn = [numbers.permuted(points, axis=1).sum(axis=0).max() for _ in range(4000)]
        assert np.mean(np.array(drawn) >= each.observed) == pytest.approx(each.p_value, abs=0.03)
        assert sum(each.distribution.values()) == pytest.approx(1)


def test_no_highest_sum_is_out_of_the_ordinary(found: list[borda.Chance]) -> None:
    assert [each.observed for each in found] == [13, 24, 17, 23, 23]
    assert all(each.p_value > 0.3 for each in found)
    assert found[0].all_equal == pytest.approx(0.0041, abs=5e-5)


@pytest.mark.slow
def test_claims(found: list[borda.Chance]) -> None:
    claims = borda.claims(found)
    assert [claim.holds for claim in claims] == [True, False, True, True, True, True]
    assert "under the evaluation of the Bount Count sum(BC sum)" in claims[0].text, "the sentence with its limit"
    assert "max: 13, 13, 13, 13" in claims[0].evidence
    assert "the sums are 13, 13, 13, 13;" in claims[1].evidence
    assert "0.1 and 0.12 (17, next 16)" in claims[3].evidence
    assert parameters.verdict().word == "reproduced in part"
    assert parameters.verdict().evidence[0] == "5 of 6 claims hold; beside them 4 misprints and 3 observations"


def test_misprints_of_each_table() -> None:
    evidence = {claim.source: claim.evidence for claim in parameters.misprints()}
    assert evidence["Table I"] == "m₁ = 0.3, LFW: 4 → 2"
    assert evidence["Table IV"] == "93.367 for 99.367"
    assert "α = 0.06, sum: 14 → 16" in evidence["Table III"]
    assert "Table V" not in evidence


def test_no_baseline_of_the_parameter_tables() -> None:
    claim = parameters.baseline()
    assert claim.holds
    assert "the lowest of 23 rows, which are 22 trainings: LFW 99.22 and 99.317, AgeDB-30 93.7 and 94.283" in claim.evidence


def test_tables_2_and_4_do_not_agree() -> None:
    assert "-0.71 (p = 0.11, 6 values); a = 0.2 is first in II (94.549) and number 6 of 6 in IV (94.309)" in (
        parameters.sweeps_of_a().evidence
    )
    assert parameters.repeats_of_table_5().holds


def test_a_table_without_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="not in 6"):
        borda.printed(6)
