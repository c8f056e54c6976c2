"""PAM Figures 2 and 3: views of Table 2's runs, judged at rank 1 and FAR 1e-6, and compared along the curves."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.book.papers.made import SEEDS, run

from marginface.book.items import Results
from marginface.book.obtain import Runs
from marginface.book.papers.bases import LAMBDA
from marginface.book.papers.pam.searches import FIGURE2, FIGURE3, claims, curves, explored, missed, order, tabulate
from marginface.book.papers.pam.table2 import TABLE2
from marginface.book.plots.searches import search_curves
from marginface.evaluation.searches import FARS, RANKS

PLANTED = "planted identification(R)"
METRICS = (f"{PLANTED} rank-1", f"{PLANTED} TAR@FAR=1e-06", "identification rank-1", "identification TAR@FAR=1e-06")

SHARE = {"PAM v1": 0.3, "PAM v2": 0.2, "AM-Softmax": 0.4, "A-Softmax": 0.42, "L-Softmax": 0.45, "Softmax": 0.5}


def made(item: object, missed_at: Callable[[str], float], kept: bool = True) -> Results:
    """Every row misses a share at rank 1 and FAR 1e-6, and ever less of it along the curves, but for a tenth of a seed."""
    asked = (FIGURE2 if item is FIGURE2 else FIGURE3).ask()
    runs: Runs = {}
    for name, row in asked.rows.items():
        runs[name] = []
        for seed in SEEDS:
            error = missed_at(name) * (1 + 0.01 * seed)
            one = run(row.recipe, seed, error, METRICS if kept else METRICS[2:])
            if kept:
                found = np.full(100, round(200 * (1 - error)))
                one.arrays[f"{PLANTED} people"] = np.stack([np.full(100, 200), found, found]).astype(np.uint16)
                one.arrays[f"{PLANTED} cmc"] = np.stack([RANKS, 1 - error * np.array(RANKS) ** -0.5]).astype(np.float32)
                one.arrays[f"{PLANTED} roc"] = np.stack([FARS, 1 - error * (1e-6 / np.array(FARS)) ** 0.3]).astype(np.float32)
            runs[name].append(one)
    return replace(asked, runs=runs)


def test_the_runs_are_table_2s() -> None:
    """Those at the λ that is judged there, on both test beds."""
    assert FIGURE2.grid() == FIGURE3.grid()
    assert set(FIGURE2.grid()) < set(TABLE2.grid())
    weight = dict(FIGURE2.ask().rows["PAM v1"].recipe.regularizers[0].settings)["weight"]  # type: ignore[union-attr]
    assert weight == LAMBDA["faces"][1]
    assert list(FIGURE2.ask("paper").rows) == ["Softmax", "AM-Softmax", "PAM v1", "PAM v2"]


@pytest.mark.parametrize(("number", "item"), [(2, FIGURE2), (3, FIGURE3)])
def test_verdicts_follow_the_runs(number: int, item: object) -> None:
    results = made(item, SHARE.__getitem__)
    assert {claim.measures for claim in claims(number, results)} == {(METRICS[number - 2],)}
    assert results.verdict().word == "holds"
    assert made(item, lambda name: 0.9 - SHARE[name]).verdict().word == "opposite"


def test_curves_are_compared_farther_along_over_seeds() -> None:
    results = made(FIGURE2, SHARE.__getitem__)
    assert missed(2, PLANTED, 100, results.runs["PAM v1"][0]) == pytest.approx(0.03)
    assert np.isnan(missed(2, PLANTED, 123, results.runs["PAM v1"][0]))
    texts = [claim.text for claim in explored(2, results)]
    assert texts[:4] == [
        "AM-Softmax over Softmax, rank 1",
        "PAM v1 over AM-Softmax, rank 10",
        "PAM v2 over AM-Softmax, rank 10",
        "PAM v2 over PAM v1, rank 10",
    ]
    assert len(results.effects().effects) == 5 + 1 + 9
    assert order(2, results.runs).to_numpy()[5].tolist() == ["PAM v2", *["100 %"] * 5, "–"]
    assert tabulate(3, made(FIGURE3, lambda name: 0.4)).columns.tolist()[1:3] == ["TAR at FAR 1e-06", "TAR at FAR 0.001"]


def test_the_drawing_has_a_line_and_a_band_for_every_loss() -> None:
    axes = search_curves(curves(2, made(FIGURE2, lambda name: 0.3).runs), "rank, glyphs").axes[0]
    assert axes.get_ylabel() == "found, %"
    shown = [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[union-attr]
    assert shown == ["Softmax", "L-Softmax", "A-Softmax", "AM-Softmax", "PAM v1", "PAM v2"]
    assert len(axes.lines) == len(axes.collections) == 6


def test_older_records_have_rank_1_alone() -> None:
    results = made(FIGURE2, lambda name: 0.3, kept=False)
    assert {claim.measures for claim in claims(2, results)} == {("identification rank-1",)}
    assert curves(2, results.runs) == {}
    assert [claim.text for claim in explored(2, results)] == ["AM-Softmax over Softmax, rank 1"]
    assert tabulate(2, results).columns.tolist() == ["loss", "rank 1"]
    assert len(search_curves({}, "rank").axes) == 1
