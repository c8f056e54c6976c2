"""ArcFace Table 7: the printed values beside runs, and verdicts that follow the runs."""

from dataclasses import replace

import numpy as np
import pytest

from marginface.book.papers import comparison
from marginface.book.papers.arcface import table7
from marginface.training import Run
from marginface.training.recipes import Recipe

ROWS = table7.table7_rows()


def run(recipe: Recipe, seed: int, accuracy: float) -> Run:
    correct = np.arange(1000) < round(1000 * accuracy)
    metrics = {test: float(correct.mean()) for test in comparison.TESTS}
    arrays = {f"{test} correct": correct for test in comparison.TESTS}
    return Run(replace(recipe, seed=seed), metrics, {}, arrays, "made up", "")


def runs(**accuracy: float) -> dict[str, list[Run]]:
    spread = (-0.002, 0.0, 0.002)
    return {
        name: [run(row.recipe, seed, accuracy.get(name.split()[0], 0.8) + more) for seed, more in enumerate(spread)]
        for name, row in ROWS.items()
    }


def test_printed_values_stand_beside_their_losses() -> None:
    table = table7.table7(ROWS, runs()).set_index("loss")
    assert table.loc["ArcFace", "LFW printed, %"] == "99.83"
    assert table.loc["CosFace", "CFP-FP printed, %"] == "94.40"
    assert table.loc["NormFace", "LFW printed, %"] == "–"
    assert "CFP-FF printed, %" not in table.columns
    assert str(table.loc["Softmax", "LFW measured, %"]).startswith("80.00 [")


def test_verdicts_follow_the_runs() -> None:
    up = table7.table7_verdicts(runs(CosFace=0.85, ArcFace=0.9))
    assert {verdict.word for verdict in up} == {"reproduced"}
    down = table7.table7_verdicts(runs(CosFace=0.85, ArcFace=0.75))
    assert {verdict.word for verdict in down} == {"reproduced", "contradicted"}


def test_margins_shrink_together() -> None:
    margins = {name: row.recipe.margin for name, row in table7.table7_rows(m=0.4).items()}
    assert [margins[name].m for name in ("CosFace", "ArcFace", "InterFace cid&ct")] == pytest.approx([0.3, 0.4, 0.4])  # type: ignore[union-attr]
