"""Recipes in words."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from marginface.backbones.baselines import NAMES as FITTED
from marginface.regularizers import Fresh
from marginface.training.recipes import Recipe

PIXELS = {
    "unit": "pixels from -1 to 1",
    "fixed": "pixels less 127.5, over 128",
    "whitened": "each image less its mean, over its standard deviation",
}
FEW = 3  # rows of one value that are named
COURSES = {"cosine": "falling to 0 as a cosine", "linear": "falling to 0 along a line"}


def describe(recipe: Recipe) -> str:
    """A recipe in a line: data, backbone, loss, seed."""
    return f"{recipe.data} {recipe.backbone} {loss(recipe)} seed={recipe.seed}"


def loss(recipe: Recipe) -> str:
    """Margin and regularizers with those of their fields that are not at their defaults, and how many classes a batch meets, if
    not all."""
    if recipe.backbone in FITTED:
        return "none"
    sampled = f", {100 * recipe.sample_rate:g} % of the classes" if recipe.sample_rate < 1 else ""
    return " + ".join(_short(part) for part in (recipe.margin, *recipe.regularizers)) + sampled


def _short(part: Any) -> str:
    if isinstance(part, Fresh):
        return str(part)
    changed = {f.name: getattr(part, f.name) for f in dataclasses.fields(part) if getattr(part, f.name) != f.default}
    shown = (f"{name}={value:g}" if isinstance(value, float) else f"{name}={value!r}" for name, value in changed.items())
    return f"{type(part).__name__}({', '.join(shown)})"


def words(recipe: Recipe) -> dict[str, str]:
    """Everything that a recipe says but its seed, by what it is about."""
    if recipe.backbone in FITTED:
        return {"data": recipe.data, "network": f"{recipe.backbone}, fitted at once", "loss": "none"}
    length = f"{recipe.steps:,} steps" if recipe.steps else f"{recipe.epochs} epochs"
    said = {
        "data": recipe.data,
        "network": f"{recipe.backbone}, embeddings of {recipe.embedding_dim} dimensions",
        "loss": loss(recipe),
        "optimizer": _optimizer(recipe),
        "learning rate": _learning_rate(recipe),
        "length": f"{length}, batches of {recipe.batch_size}",
        "images": _images(recipe),
        "regularisation": _regularisation(recipe),
        "precision": recipe.precision,
    }
    return said | ({"starts from": f"the network of run {recipe.start.key}"} if recipe.start else {})


def _optimizer(recipe: Recipe) -> str:
    name = {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop"}[recipe.optimizer]
    momentum = f", momentum {recipe.momentum:g}" if recipe.optimizer != "adam" else ""
    return f"{name}{momentum}, weight decay {recipe.weight_decay:g}"


def _learning_rate(recipe: Recipe) -> str:
    drops = " and ".join(f"{place:.0%}" for place in recipe.milestones)
    stepwise = f"times {recipe.gamma:g} after {drops}" if drops else "constant"
    course = COURSES.get(recipe.schedule, stepwise)
    warm = f", rising over the first {recipe.warmup:.0%}" if recipe.warmup else ""
    head = f"; {recipe.head_lr_factor:g} times that for the class weights" if recipe.head_lr_factor != 1 else ""
    return f"{recipe.lr:g}, {course}{warm}{head}"


def _images(recipe: Recipe) -> str:
    flip = f", mirrored with probability {recipe.flip:g}" if recipe.flip else ""
    jitter = f", moved, turned and scaled by up to {recipe.jitter:g}" if recipe.jitter else ""
    return PIXELS[recipe.normalisation] + (flip + jitter or ", not augmented")


def _regularisation(recipe: Recipe) -> str:
    parts = [
        "the network's own dropout" if recipe.dropout is None else f"dropout {recipe.dropout:g}",
        f"gradients no longer than {recipe.clip:g}" if recipe.clip else "",
        f"weights averaged with {recipe.average:g}" if recipe.average else "",
    ]
    return ", ".join(part for part in parts if part)


def _named(rows: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """Values with their rows: most of them, where there are more than a few, are "all other rows"."""
    if len(rows) == 1:
        return [(value, "all rows") for value in rows]
    usual = max(rows, key=lambda value: len(rows[value]))
    if len(rows[usual]) <= FEW:
        return [(value, "; ".join(names)) for value, names in rows.items()]
    return [*((value, "; ".join(names)) for value, names in rows.items() if value != usual), (usual, "all other rows")]


def recipe_table(recipes: Mapping[str, Recipe], seeds: Iterable[int]) -> pd.DataFrame:
    """What all rows of a table share, and what differs between them, row by row."""
    said = {name: words(recipe) for name, recipe in recipes.items()}
    trained = {name: lines for name, lines in said.items() if recipes[name].backbone not in FITTED} or said
    lines = []
    for what in dict.fromkeys(key for found in trained.values() for key in found):
        rows: dict[str, list[str]] = {}
        for name, found in trained.items():
            rows.setdefault(found.get(what, "–"), []).append(name)
        lines += [(what, names, value) for value, names in _named(rows)]
    lines += [("network", name, found["network"]) for name, found in said.items() if name not in trained]
    lines.append(("seeds", "all rows", ", ".join(map(str, seeds))))
    return pd.DataFrame(lines, columns=["setting", "row", "value"])
