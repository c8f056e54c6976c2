"""ArcFace Table 7: the printed values beside runs, and verdicts that follow the runs."""

from dataclasses import replace

import numpy as np
import pytest

from marginface.book import comparison
from marginface.book.items import Results, beside
from marginface.book.papers.arcface.table7 import TABLE7, claims, explored
from marginface.training import Run
from marginface.training.recipes import Recipe

ROWS = {name: row for name, row in TABLE7.ask().rows.items() if row.seeded}


def run(recipe: Recipe, seed: int, accuracy: float) -> Run:
    correct = np.arange(1000) < round(1000 * accuracy)
    metrics = {test: float(correct.mean()) for test in comparison.TESTS}
    arrays = {f"{test} correct": correct for test in comparison.TESTS}
    return Run(replace(recipe, seed=seed), metrics, {}, arrays, "made up", "")


def results(**accuracy: float) -> Results:
    spread = (-0.002, 0.0, 0.002)
    made = {
        name: [run(row.recipe, seed, accuracy.get(name.split()[0], 0.8) + more) for seed, more in enumerate(spread)]
        for name, row in ROWS.items()
    }
    return replace(TABLE7.ask(), runs=made)


def test_printed_values_stand_beside_their_losses() -> None:
    table = beside(results()).set_index("row")
    assert table.loc["ArcFace", "LFW printed, %"] == "99.83"
    assert table.loc["CosFace", "CFP-FP printed, %"] == "94.40"
    assert table.loc["NormFace", "LFW printed, %"] == "–"
    assert "CFP-FF printed, %" not in table.columns
    assert str(table.loc["Softmax", "LFW measured, %"]).startswith("80.00 [")


def test_verdicts_follow_the_runs() -> None:
    assert results(SphereFace=0.85, CosFace=0.9, ArcFace=0.95).verdict().word == "holds"
    mixed = results(SphereFace=0.85, CosFace=0.9, ArcFace=0.7).verdict()
    assert mixed.word == "holds in part"
    assert [line.split(": ")[-1] for line in mixed.evidence] == ["holds"] * 6 + ["opposite"] * 6


def test_printed_sizes_stand_beside_the_claims() -> None:
    """From 99.70 to 99.83 % on LFW, 13 of 30 errors are gone; on CFP-FP CosFace is printed ahead of ArcFace."""
    printed = {claim.text: claim.printed for claim in claims(results())}
    assert printed["ArcFace over Softmax on LFW"] == pytest.approx(-13 / 30)
    assert (printed["ArcFace over CosFace on CFP-FP"] or 0) > 0
    assert not {claim.text for claim in explored(results())}.intersection(printed)


def test_margins_shrink_together() -> None:
    margins = {name: row.recipe.margin for name, row in TABLE7.ask(m=0.4).rows.items()}
    assert [margins[name].m for name in ("CosFace", "ArcFace", "InterFace cid&ct")] == pytest.approx([0.3, 0.4, 0.4])  # type: ignore[union-attr]


def test_what_no_seed_changes_is_one_run_and_not_compared() -> None:
    once = [row for row in TABLE7.ask().rows.values() if not row.seeded]
    assert [len(row.recipes([0, 1, 2])) for row in once] == [1, 1]
    assert set(results().trained) == set(ROWS)


def test_the_papers_rows_are_its_own_recipes() -> None:
    rows = TABLE7.ask("paper").rows
    assert list(rows) == ["Softmax", "SphereFace", "CosFace", "ArcFace", "ArcFace, smaller m"]
    assert {(row.recipe.data, row.recipe.backbone) for row in rows.values()} == {("faces_ms1m_112x112", "LResNet100E-IR")}
