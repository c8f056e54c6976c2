"""InterFace Table I: equivalence follows from differences and their spread, not from ranks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from marginface.book.items import Results
from marginface.book.papers.interface import table1
from marginface.book.plots import equivalences
from marginface.evaluation.statistics import equivalence
from marginface.training import Run

TESTS = ("LFW", "CFP-FP")
ROWS = {name: row.recipe for name, row in table1.TABLE1.ask().rows.items()}
HALF_A_POINT = 0.5


def results(offsets: Sequence[float], noise: float, seeds: int = 5, margin: float = HALF_A_POINT) -> Results:
    """(0.5, 0) at 80 %, the others that many points from it."""
    numbers = np.random.default_rng(0)
    shared = numbers.normal(0, 2, seeds)
    made = {
        name: [
            Run(
                replace(recipe, seed=s),
                {test: (80 + offset + shared[s] + numbers.normal(0, noise)) / 100 for test in TESTS},
                {},
                {},
                "made up",
                "",
            )
            for s in range(seeds)
        ]
        for (name, recipe), offset in zip(ROWS.items(), offsets, strict=True)
    }
    return replace(table1.TABLE1.ask(margin=margin), runs=made)


@pytest.mark.parametrize(
    ("offsets", "noise", "word"),
    [
        ((0, 0, 0, 0), 0.1, "reproduced"),
        ((0, 0.2, -0.2, 0.2), 0.05, "reproduced"),  # differences that are sure, and small
        ((0, 3, -3, 3), 0.1, "contradicted"),
        ((0, 0, 0, 0), 2, "undecided"),
        ((0, 0, 0, 3), 0.1, "reproduced in part"),
    ],
)
def test_the_verdict_follows_differences_and_noise(offsets: tuple[float, ...], noise: float, word: str) -> None:
    assert results(offsets, noise).verdict().word == word


def test_a_wider_margin_makes_equivalent() -> None:
    assert results((0, 1, -1, 1), 0.1).verdict().word == "contradicted"
    assert results((0, 1, -1, 1), 0.1, margin=2.0).verdict().word == "reproduced"


def test_the_interval_says_what_the_two_tests_say() -> None:
    for noise in (0.2, 0.4, 0.6, 0.8):
        for each in table1.comparisons(results((0, 0.1, 0.2, -0.2), noise)):
            inside = each.difference.low > -0.5 and each.difference.high < 0.5
            assert inside == (each.p_value < 0.05)


def test_comparisons_are_paired_by_seed_and_end_with_the_mean() -> None:
    made = results((0, 0.3, 0, 0), 0.1)
    found = table1.comparisons(made)
    assert [each.test for each in found] == [*TESTS, "mean"] * 3
    differences = np.mean(
        [
            [100 * (a.metrics[test] - b.metrics[test]) for a, b in zip(*list(made.runs.values())[1::-1], strict=True)]
            for test in TESTS
        ],
        axis=0,
    )
    assert found[2].difference.mean == pytest.approx(differences.mean())
    assert found[2].p_value == pytest.approx(equivalence(differences.tolist(), 0.5).p_value)


def test_one_seed_shows_nothing() -> None:
    found = results((0, 0, 0, 0), 0.1, seeds=1)
    assert found.verdict().word == "undecided"
    table = table1.comparison_table(table1.comparisons(found), HALF_A_POINT)
    assert set(table["p"]) == {"–"}
    assert set(table["within ± 0.5 points"]) == {"undecided"}


def test_the_table_words_every_comparison() -> None:
    found = table1.comparisons(results((0, 0, 3, 0), 0.1))
    table = table1.comparison_table(found, HALF_A_POINT).set_index(["setting", "test"])["within ± 0.5 points"]
    assert table["m1 = 0.4, m2 = 0.1", "mean"] == "shown"
    assert table["m1 = 0.3, m2 = 0.2", "mean"] == "refuted"


def test_the_sums_stand_beside_the_printed_ones() -> None:
    last = results((0, 1, 2, 3), 0.01).verdict().evidence[-1]
    assert last == "Borda sums 2, 4, 6, 8 here, 13, 13, 13, 13 as printed"


def test_the_margin_is_more_than_most_of_what_the_paper_chooses_by() -> None:
    text = table1.typical_range()
    assert "0.10 to 0.72" in text
    assert "0.37 in the median" in text
    assert table1.TABLE1.parameters["margin"] > 0.37


def test_the_figure_has_a_panel_for_every_test() -> None:
    figure = equivalences(table1.comparisons(results((0, 0, 0, 0), 0.1)), HALF_A_POINT)
    assert [axes.get_title() for axes in figure.axes] == [*TESTS, "mean"]
