"""InterFace Figure 2: what is measured on a circle, on circles drawn by hand, and the claims about them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from marginface.book.obtain import Runs
from marginface.book.papers.interface import figure2
from marginface.margins import InterFace
from marginface.training import Run

RECIPES = {name: row.recipe for name, row in figure2.FIGURE2.ask().rows.items()}


def directions(degrees: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


def run(name: str, centres: list[float], spread: float, seed: int = 0) -> Run:
    """Class weights at these angles, and of each class one image on either side."""
    labels = np.repeat(np.arange(len(centres)), 2)
    samples = np.array(centres)[labels] + spread * np.where(np.arange(len(labels)) % 2, 1, -1)
    arrays = {
        "class_directions": directions(np.array(centres)),
        "train_directions": directions(samples),
        "train_labels": labels.astype(np.uint8),
    }
    return Run(replace(RECIPES[name], seed=seed), {"accuracy": 0.5}, {}, arrays, "made up", "", {"steps": 7})


def test_a_circle_drawn_by_hand() -> None:
    found = figure2.circle(run("ArcFace", [350, 10, 190, 100], 15))
    assert found.centres == pytest.approx([10, 100, 190, 350])
    assert found.classes.tolist() == [1, 3, 2, 0]
    assert found.gaps == pytest.approx([90, 90, 160, 20])
    assert found.spreads == pytest.approx([15] * 4)
    assert (found.labels == [0, 0, 1, 1, 2, 2, 3, 3]).all()


def runs(spread: float, centres: list[float]) -> Runs:
    """ArcFace has images 6° from evenly uneven centres; InterFace has what is given, and seeds differ a little."""
    uneven = [0.0, 30, 90, 140, 180, 220, 270, 310]
    made = {"ArcFace": [run("ArcFace", [c + s for c in uneven], 6 + 0.1 * s, s) for s in range(8)]}
    for name in list(RECIPES)[1:]:
        made[name] = [run(name, centres, spread + 0.2 * s, s) for s in range(8)]
    return made


def test_verdicts_follow_the_circles() -> None:
    asked = figure2.FIGURE2.ask()
    better = replace(asked, runs=runs(3, [45.0 * k for k in range(8)])).verdict()
    assert len(better.evidence) == 9
    assert better.word == "holds"
    worse = replace(asked, runs=runs(9, [0.0, 10, 90, 140, 180, 220, 270, 310])).verdict()
    assert worse.word == "opposite"
    assert better.evidence[0].startswith("InterFace cid&ct: spread of a class: -4")


def test_failed_seeds_are_left_out_for_all_losses() -> None:
    made = runs(3, [45.0 * k for k in range(8)])
    made["InterFace did&ct"][2] = run("InterFace did&ct", [45.0 * k for k in range(8)], 100, 2)
    kept = figure2.apart(made)
    assert {tuple(run.recipe.seed for run in group) for group in kept.values()} == {(0, 1, 3, 4, 5, 6, 7)}
    told = "ArcFace 0, InterFace cid&ct 0, InterFace did&ct 1, InterFace did&dt 0"
    assert (
        figure2.failures(made)
        == f"Of 8 runs a loss, these failed: {told}. What follows is over the seeds [0, 1, 3, 4, 5, 6, 7]."
    )
    nothing = {name: [run(name, [0, 10], 120)] for name in RECIPES}
    assert figure2.apart(nothing) is nothing


def test_the_table_has_means_over_seeds() -> None:
    table = figure2.table(replace(figure2.FIGURE2.ask(), runs=runs(3, [45.0 * k for k in range(8)]))).set_index("loss")
    assert table.loc["InterFace did&ct", "smallest angle between centres, °"] == "45.0 [45.0, 45.0]"
    assert table.loc["InterFace did&ct", "unevenness of these angles, °"] == "0.0 [0.0, 0.0]"
    assert str(table.loc["ArcFace", "spread of a class, °"]).startswith("6.3")


def test_the_parameters_are_those_of_the_text() -> None:
    assert RECIPES["InterFace cid&ct"].margin == InterFace(4, 0.5, 0.1, a=0.2, d_inter=math.pi / 4)
    assert RECIPES["InterFace did&ct"].margin == InterFace(4, 0.5, 0.1, a=0.3)
    assert RECIPES["InterFace did&dt"].margin == InterFace(4, 0.5, 0.1, b=math.radians(10))
    assert len(set(figure2.FIGURE2.grid())) == 64


def test_the_film_of_a_run_and_its_end_where_there_is_none() -> None:
    made = run("ArcFace", [0, 90], 5)
    images, weights, steps = figure2.film(made)
    assert (images.shape, weights[0].tolist(), steps.tolist()) == ((1, 4), pytest.approx([0, 90]), [7])
    frames = {"film_images": np.zeros((3, 4), np.float16), "film_classes": np.full((3, 2), np.pi / 2, np.float16)}
    made.arrays |= frames | {"film_steps": np.array([0, 2, 7])}
    images, weights, steps = figure2.film(made)
    assert (images.shape, weights.round().tolist(), steps.tolist()) == ((3, 4), [[90, 90]] * 3, [0, 2, 7])
