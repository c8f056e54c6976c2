"""InterFace Table I: equivalence follows from differences and their spread, not from ranks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from marginface.book.items import Results
from marginface.book.papers.interface import table1
from marginface.training import Run

TESTS = ("LFW", "CFP-FP")
ROWS = {name: row.recipe for name, row in table1.TABLE1.ask().rows.items()}


def results(offsets: Sequence[float], noise: float, seeds: int = 5, margin: float = table1.MARGIN) -> Results:
    """(0.5, 0) at 80 %, the others that many points from it, and ArcFace with a smaller margin as (0.5, 0)."""
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
        for (name, recipe), offset in zip(ROWS.items(), (*offsets, offsets[0]), strict=True)
    }
    return replace(table1.TABLE1.ask(margin=margin), runs=made)


@pytest.mark.parametrize(
    ("offsets", "noise", "word"),
    [
        ((0, 0, 0, 0), 0.1, "holds"),
        ((0, 0.2, -0.2, 0.2), 0.05, "holds"),  # differences that are sure, and small
        ((0, 5, -5, 5), 0.1, "opposite"),
        ((0, 0, 0, 0), 2, "undecided"),
        ((0, 0, 0, 5), 0.1, "holds in part"),
    ],
)
def test_the_verdict_follows_differences_and_noise(offsets: tuple[float, ...], noise: float, word: str) -> None:
    assert results(offsets, noise).verdict().word == word


def test_a_wider_margin_makes_equivalent() -> None:
    """A point of 80 % is 5 % of the errors."""
    assert results((0, 2, -2, 2), 0.1).verdict().word == "opposite"
    assert results((0, 2, -2, 2), 0.1, margin=0.2).verdict().word == "holds"


def test_every_test_is_explored() -> None:
    found = results((0, 0.3, 0, 0), 0.1)
    assert len(found.judged()) == 3
    assert len(table1.explored(found)) == 3 * len(TESTS) + 1


def test_one_seed_shows_nothing() -> None:
    found = results((0, 0, 0, 0), 0.1, seeds=1)
    assert found.verdict().word == "undecided"
    assert "[one run]" in found.verdict().evidence[0]


def test_the_sums_stand_beside_the_printed_ones() -> None:
    last = results((0, 1, 2, 3), 0.01).verdict().evidence[-1]
    assert last == "Borda sums 2, 4, 6, 8 here, 13, 13, 13, 13 as printed"


def test_the_margin_is_half_of_what_the_paper_chooses_by() -> None:
    common = ("LFW", "CFP-FP")
    assert pytest.approx(np.median(table1.spreads(common)) / 2, abs=0.005) == table1.MARGIN
    assert table1.typical_range(common).endswith("by 8 to 16 %, 13 % in the median.")
