"""InterFace's sign: what it does to logits, and which is better in runs whose numbers are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from marginface.book.items import Results
from marginface.book.papers.interface import sign
from marginface.book.papers.interface.figure1 import shift_degrees
from marginface.training import Run

ROWS = {name: row.recipe for name, row in sign.SIGN.ask().rows.items()}
PAIRS = 4000


def results(printed: float, released: float, noise: float = 0.1, seeds: int = 5) -> Results:
    numbers = np.random.default_rng(0)
    shared = numbers.normal(0, 2, seeds)
    levels = {name: printed if name.endswith("paper") else released for name in ROWS} | {"ArcFace": 80.0}
    made = {name: [run(name, s, levels[name] + shared[s] + numbers.normal(0, noise)) for s in range(seeds)] for name in ROWS}
    return replace(sign.SIGN.ask(), runs=made)


def run(name: str, seed: int, percent: float) -> Run:
    correct = np.arange(PAIRS) < round(PAIRS * percent / 100)
    histogram = np.zeros((3, 180), dtype=np.int64)
    histogram[0, 90], histogram[1, [5, 15, 25, 60]], histogram[2, [5, 8]] = 10, 5, 5
    arrays = {"LFW correct": correct, "theta_histogram": histogram}
    return Run(replace(ROWS[name], seed=seed), {"LFW": percent / 100}, {}, arrays, "made up", "")


def test_both_signs_are_compared_under_one_recipe() -> None:
    assert len(ROWS) == 1 + 2 * 3 + 2  # ArcFace, each set with both signs, and the control's margins
    for name in sign.sets():
        printed, released = ROWS[f"{name}, paper"], ROWS[f"{name}, released"]
        assert replace(released, margin=printed.margin) == printed
        assert replace(released.margin, sign="paper") == printed.margin  # type: ignore[type-var]


@pytest.mark.parametrize(("printed", "released", "word"), [(82, 80, "holds"), (80, 82, "opposite")])
def test_the_verdict_follows_the_runs(printed: float, released: float, word: str) -> None:
    assert results(printed, released).verdict().word == word


def test_noise_is_called_noise() -> None:
    verdict = results(80, 80, 1.0).verdict()
    assert verdict.word == "undecided"
    assert all(line.endswith("undecided") for line in verdict.evidence)


def test_the_difference_is_paired_by_seed() -> None:
    """Seeds are points apart, signs a fifth of a point: only pairs show it."""
    low, high = results(80.2, 80, 0.01).judged()[1].interval
    assert -0.016 < low < high < -0.005  # of 20 %


def test_both_signs_stand_beside_each_other() -> None:
    table = sign.comparison_table(results(82, 80, 0.0)).set_index("loss")
    assert str(table.loc["InterFace cid&ct", "as printed, %"]).startswith("82.")
    assert str(table.loc["InterFace cid&ct", "as released, %"]).startswith("80.")


def test_f_turns_where_the_sign_page_says() -> None:
    for margin in sign.sets().values():
        turn = sign.turn(margin)
        before, after = shift_degrees(margin, np.array([turn - 0.1, turn + 0.1]), sign.BETWEEN)
        assert before > 0 > after


def test_the_released_sign_is_the_opposite_of_what_is_printed() -> None:
    table = sign.effect_table(sign.sets())
    printed, released = (table[f"f as {name}"].str.removesuffix("°").astype(float) for name in ("printed", "released"))
    assert printed.to_numpy() == pytest.approx(-released.to_numpy())
    assert (printed.abs() > 0.01).all()


def test_the_logits_of_the_table_are_those_that_train() -> None:
    """With the loss that has the other sign, at s = 16."""
    losses = sign.sets()
    table = sign.effect_table(losses, own=(50.0,), other=70.0).set_index("loss")
    for name, margin in losses.items():
        for which in ("paper", "released"):
            loss = replace(margin, sign=which)
            own, other = (torch.tensor([[np.cos(np.radians(angle))]]) for angle in (50.0, 70.0))
            moved = loss.scale * (loss.others(other, loss.shift(own, torch.zeros_like(own))) - other)
            word = {"paper": "as printed", "released": "as released"}[which]
            assert float(str(table.loc[name, f"logit of a class at 70°, {word}"])) == pytest.approx(float(moved), abs=0.006)


def test_the_share_of_images_that_are_near_enough() -> None:
    table = sign.tightened_table(results(80, 80).runs, sign.sets()).set_index("loss")
    assert table["start"].tolist() == ["0.0%"] * 3
    assert table["middle"].tolist() == ["50.0%", "75.0%", "25.0%"]  # below 18°, 27° and 10°
    assert table["end"].tolist() == ["100.0%"] * 3
