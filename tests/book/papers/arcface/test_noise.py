"""ArcFace Figures 5 and 6: what planted noise costs, and whether it is found."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marginface.book.items import Item, Results
from marginface.book.papers.arcface import noise
from marginface.book.papers.arcface.noise import FIGURE5, FIGURE6, expected_loss
from marginface.book.papers.arcface.table11 import TABLE11
from marginface.data.files import data_folder, read_lines
from marginface.training import Run
from marginface.training.recipes import Recipe


def run(recipe: Recipe, seed: int, clean: float, names: float, doubles: float, auc: float) -> Run:
    metrics = {"planted names(R) rank-1": clean, "planted names rank-1": names, "planted identification rank-1": doubles}
    metrics |= {"planted identification TAR@FAR=1e-06": 0.4, "planted identification(R) TAR@FAR=1e-06": 0.6}
    metrics |= {f"{test} {measure}": auc for test in noise.LABELS for measure in ("found", "AUC")}
    return Run(replace(recipe, seed=seed), metrics, {}, {}, "made up", "", {})


def made(item: Item, *values: float) -> Results:
    asked = item.ask()
    return replace(asked, runs={name: [run(row.recipe, s, *values) for s in range(2)] for name, row in asked.rows.items()})


def test_points_of_rank_1_are_told_apart_by_the_kind_of_noise() -> None:
    one = run(FIGURE5.ask().rows["Softmax"].recipe, 0, 0.9, 0.89, 0.7, 0.9)
    assert noise.gain(one, "names") == pytest.approx(1)
    assert noise.gain(one, "doubles") == pytest.approx(19)


def test_verdicts_follow_the_runs() -> None:
    assert made(FIGURE5, 0.9, 0.89, 0.7, 0.98).verdict().word == "reproduced"
    assert made(FIGURE5, 0.9, 0.89, 0.7, 0.9).verdict().word == "reproduced in part"
    assert made(FIGURE5, 0.9, 0.8, 0.7, 0.9).verdict().word == "contradicted"
    assert made(FIGURE6, 0.9, 0.89, 0.74, 0.9).verdict().word == "reproduced"
    found = made(FIGURE6, 0.9, 0.89, 0.5, 0.9).verdict()
    assert found.word == "contradicted"
    assert "39.0 points of rank 1" in noise.everywhere(6, made(FIGURE6, 0.9, 0.89, 0.5, 0.9))[0].evidence


@pytest.mark.parametrize(("item", "number"), [(FIGURE5, 5), (FIGURE6, 6)])
def test_the_table_has_every_row(item: Item, number: int) -> None:
    frame = noise.tabulate(number, made(item, 0.9, 0.89, 0.7, 0.9))
    assert list(frame.embeddings) == ["raw pixels", "eigenfaces", "Softmax", "CosFace", "ArcFace"]
    assert str(frame["rank 1 without noise"].iloc[0]).startswith("90.00")


def test_its_runs_are_those_of_table_11_and_what_needs_no_training() -> None:
    own = {recipe.key for recipe in FIGURE5.grid() if recipe.backbone not in ("Pixels", "Eigenfaces")}
    assert own < {recipe.key for recipe in TABLE11.grid()}
    assert set(FIGURE5.needs) == {"planted labels few", "planted labels many", "planted names", "planted identification"}


def test_what_doubles_cost_if_they_are_as_near_as_the_mate() -> None:
    """Against drawing them: a Poisson number of doubles, and who comes first is chance."""
    numbers = np.random.default_rng(0)
    doubles = numbers.poisson(1.3, 200_000)
    assert expected_loss(1.3) == pytest.approx(1 - np.mean(1 / (doubles + 1)), abs=0.002)
    assert expected_loss(0.0) == 0
    assert expected_loss(noise.doubles_for(0.15)) == pytest.approx(0.15)
    assert noise.doubles_for(0.15) < 707 / 530
    assert noise.chance()["pairs that lose rank 1"].to_list() == ["45%", "15%"]


def test_the_lists_are_counted_rightly(shared: Path) -> None:
    kept = pd.read_csv(data_folder() / "noise_lists.csv").set_index("list")
    for name, file in (("FaceScrub", "facescrub_noises.txt"), ("MegaFace", "megaface_noises.txt")):
        lines = [line for line in read_lines(shared / "protocols" / file) if line and not line.startswith("#")]
        people = Counter(line.rsplit("_", 1)[0] if name == "FaceScrub" else line.split("/")[1] for line in lines)
        counted = kept.loc[[name], ["lines", "distinct", "named"]].to_numpy()[0].tolist()
        assert counted == [len(lines), len(set(lines)), len(people)]
    assert noise.lists()["of"].to_list() == ["265 people", "512 Flickr users"]
