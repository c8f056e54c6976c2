"""Recipes in words."""

import json
from dataclasses import replace

import pytest
from tests.test_heads import LOSSES

from marginface.book import descriptions
from marginface.margins import CosFace, NormFace
from marginface.regularizers import IAM, Fresh, RingLoss
from marginface.training.recipes import Recipe

RECIPE = Recipe(CosFace(16, 0.1 + 0.05), (IAM(0.2), Fresh.of(RingLoss, weight=0.01)), seed=3)


def test_a_recipe_is_described_by_what_is_not_a_default() -> None:
    line = "mnist IAM-Toy CosFace(scale=16, m=0.15) + IAM(beta=0.2) + RingLoss(weight=0.01) seed=3"
    assert descriptions.describe(RECIPE) == line
    assert descriptions.describe(replace(RECIPE, backbone="Pixels", margin=NormFace())) == "mnist Pixels none seed=3"


def test_what_rows_share_is_said_once() -> None:
    rows = {"A": RECIPE, "B": replace(RECIPE, lr=0.01, schedule="cosine", warmup=0.05, start=RECIPE)}
    table = descriptions.recipe_table(rows, [0, 1]).set_index(["setting", "row"])["value"]
    assert table["optimizer", "all rows"] == "SGD, momentum 0.9, weight decay 0.0005"
    assert table["learning rate", "A"] == "0.1, times 0.1 after 50% and 75%"
    assert table["learning rate", "B"] == "0.01, falling to 0 as a cosine, rising over the first 5%"
    assert table["starts from", "B"] == f"the network of run {RECIPE.key}"
    assert table["starts from", "A"] == "–"
    assert table["seeds", "all rows"] == "0, 1"


def test_what_is_fitted_at_once_has_no_optimizer() -> None:
    rows = {"A": RECIPE, "raw pixels": replace(RECIPE, backbone="Pixels")}
    table = descriptions.recipe_table(rows, [0]).set_index(["setting", "row"])["value"]
    assert table["network", "raw pixels"] == "Pixels, fitted at once"
    assert ("optimizer", "all rows") in table.index


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_description_and_comes_back_from_a_record(name: str) -> None:
    recipe = Recipe(LOSSES[name])
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert descriptions.loss(recipe).startswith(f"{type(LOSSES[name]).__name__}(")


def test_rows_of_one_value_are_named_together() -> None:
    recipes = {name: replace(RECIPE, dropout=0.4) for name in "ABCD"}
    recipes["E"] = replace(recipes["A"], dropout=0.0)
    table = descriptions.recipe_table(recipes, [0])
    told = table[table.setting == "regularisation"]
    assert told.row.to_list() == ["E", "all other rows"]
    few = descriptions.recipe_table({name: recipes[name] for name in "ABE"}, [0])
    assert few[few.setting == "regularisation"].row.to_list() == ["A; B", "E"]
