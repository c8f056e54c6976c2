"""The page on angles: what it has of every loss, from records alone."""

from dataclasses import replace

import numpy as np
import pytest

from marginface.book import angles
from marginface.book.angles import SEEDS, recipes, shares, stands_on, table
from marginface.book.obtain import Runs
from marginface.book.papers.choosing import RECIPES
from marginface.book.plots.angles import class_angles
from marginface.evaluation.sphere import QUANTILES
from marginface.training import Run
from marginface.training.recipes import Recipe


def run(recipe: Recipe, degrees: float) -> Run:
    arrays = {f"trained {name}": np.linspace(degrees - 3, degrees + 3, 7).astype(np.float32) for name in angles.TITLES}
    arrays["trained shares"] = np.array([0.01, 0.24, 0.3], dtype=np.float32)
    return Run(recipe, {}, {}, arrays, "made up", "")


def made(bed: str) -> Runs:
    return {name: [run(replace(recipe, seed=s), 40 + s) for s in (0, 1)] for name, recipe in list(recipes(bed).items())[:4]}


@pytest.mark.parametrize("bed", RECIPES)
def test_every_loss_of_the_papers_is_asked_for_once(bed: str) -> None:
    found = recipes(bed)
    assert len({recipe.key for recipe in found.values()}) == len(found)
    assert {"Softmax", "NormFace", "SphereFace", "CosFace", "ArcFace", "InterFace cid&ct", "CosFace + PAM v2"} <= set(found)
    assert {recipe.data for recipe in found.values()} == {RECIPES[bed].data}


def test_only_runs_that_keep_it_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records from before it was kept are none of them, and a loss without any is left out."""
    kept = {recipe: run(recipe, 40) for recipe in (replace(recipes("glyphs")["ArcFace"], seed=s) for s in (0, 3))}
    old = replace(recipes("glyphs")["CosFace"], seed=0)
    monkeypatch.setattr(angles, "lookup", (kept | {old: Run(old, {}, {}, {}, "", "")}).get)
    found = angles.recorded("glyphs")
    assert {name: [each.recipe.seed for each in group] for name, group in found.items()} == {"ArcFace": [0, 3]}
    assert "CosFace" in angles.missing("glyphs", found)
    assert max(SEEDS) >= 3


def test_tables_are_means_over_runs_of_quantiles_of_samples() -> None:
    lines = table(made("glyphs"))
    assert lines.iloc[0]["sample to its class weight, °"] == "40.5 [38.5, 42.5]"
    assert (QUANTILES[angles.LOW], QUANTILES[angles.MIDDLE], QUANTILES[angles.HIGH]) == (0.05, 0.5, 0.95)
    assert lines.runs.tolist() == ["2"] * 4
    assert shares(made("glyphs")).iloc[0, 1:].tolist() == ["1.00", "24.00", "75.00", "30.00"]


def test_the_figure_has_a_line_a_loss_and_a_panel_a_test_bed() -> None:
    beds = {bed: made(bed) for bed in RECIPES}
    figure = class_angles(beds)
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == list(RECIPES)
    names = [tick.get_text() for tick in panels[0].get_yticklabels()]
    assert set(names) == {name for runs in beds.values() for name in runs}
    assert stands_on("glyphs", beds["glyphs"]) == "made up, training images · 8 recorded runs"
    assert stands_on("glyphs", {}) == "nothing is recorded on glyphs"
