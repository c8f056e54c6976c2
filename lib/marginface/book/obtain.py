"""The runs that a page shows: from the records, or trained on the spot."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from marginface import training
from marginface.book.records import lookup
from marginface.book.runs import run_missing, say, starting_point, unfinished
from marginface.data.types import DataMissingError
from marginface.training import Recipe, Run
from marginface.training.recipes import with_seeds

if TYPE_CHECKING:
    from marginface.data.types import FaceData, ImageData

Runs = dict[str, list[Run]]


@dataclass(frozen=True)
class Row:
    """A row of a table: how it is trained, and which line of the printed table it stands beside.

    `printed` are the values that the printed line has in its columns, such as {"method": "Softmax"}; empty where the paper
    has no such row. `seeded` is False for what no seed changes.
    """

    recipe: Recipe
    printed: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = True

    def recipes(self, seeds: list[int]) -> list[Recipe]:
        """The recipe once for every seed."""
        return with_seeds(self.recipe, seeds) if self.seeded else [self.recipe]


@dataclass(frozen=True)
class Bed:
    """What else an item's rows are trained on, with which seeds.

    `settings` are the parameters that are different there, or functions of what was asked for. `joined`: it is other people of
    the item's own test bed, such as the mirrored half, and judged in one with it; else it is judged beside it.
    """

    seeds: Sequence[int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    joined: bool = False

    def of(self, asked: SimpleNamespace) -> SimpleNamespace:
        """The settings there, for what was asked for."""
        return SimpleNamespace(**vars(asked) | {n: v(asked) if callable(v) else v for n, v in self.settings.items()})


def obtain(
    rows: Mapping[str, Row],
    seeds: list[int],
    profile: str = "book",
    *,
    device: str = "auto",
    root: str | Path | None = None,
) -> Runs:
    """What a page shows: for every row one run a seed, each on the row's own data.

    Arguments:
        profile: "book": recorded runs; what is missing is trained on the spot and stored, or, where data cannot be had,
            every row is trained on what stands in for its data, and nothing is stored. "smoke": seconds on the stand-ins;
            the numbers mean nothing. "paper": trained now on the paper's own data, never replaced by anything else; what was
            interrupted goes on from its last checkpoint in `records.unfinished`.
        root: the data folder.
    Raises: DataMissingError where "paper" has no data; ValueError for data of a name that there is not.
    """
    wanted = {name: row.recipes(seeds) for name, row in rows.items()}
    if profile == "smoke":
        made: dict[Recipe, Run] = {}  # several data sets have one stand-in
        return {name: [_smoke(recipe, device, made) for recipe in group] for name, group in wanted.items()}
    if profile == "paper":
        data = _papers_data({row.recipe.data for row in rows.values()}, root)
        return {name: [_as_printed(r, data[r.data], device, root) for r in group] for name, group in wanted.items()}
    if (found := recorded(rows, seeds)) is not None:
        return found
    if missing := _missing_data({row.recipe.data for row in rows.values()}, root):
        say(f"{missing}: training on what stands in for it")
        return {name: [_on_stand_in(r, device) for r in group] for name, group in wanted.items()}
    run_missing([recipe for group in wanted.values() for recipe in group], device=device, root=root)
    return recorded(rows, seeds) or {}


def recorded(rows: Mapping[str, Row], seeds: list[int]) -> Runs | None:
    """The records of every row with every seed, or None where one is missing."""
    found = {name: [lookup(recipe) for recipe in row.recipes(seeds)] for name, row in rows.items()}
    complete = {name: [run for run in group if run is not None] for name, group in found.items()}
    return complete if complete == found else None


def recorded_in_part(rows: Mapping[str, Row], seeds: Sequence[int]) -> Runs:
    """The records of every row with those seeds that all rows have been trained with; nothing where these are less than two."""
    common = [seed for seed in seeds if recorded(rows, [seed]) is not None]
    return recorded(rows, common) or {} if len(common) > 1 else {}


def _papers_data(names: set[str], root: str | Path | None) -> dict[str, "ImageData | FaceData"]:
    """All of it, before hours of training; what is missing is an error that names it."""
    from marginface.data.catalog import load
    from marginface.data.files import data_root

    if data_root(root) is None:
        raise DataMissingError("profile 'paper' reads the paper's own data: set data_root or MARGINFACE_DATA to its folder")
    return {name: load(name, root, fetch=False) for name in names}


def _missing_data(names: set[str], root: str | Path | None) -> DataMissingError | None:
    """Which data cannot be had; a name that nothing has is an error, since it may be a slip."""
    from marginface.data.catalog import is_known, load

    for name in sorted(names):
        try:
            load(name, root)
        except DataMissingError as missing:
            if not is_known(name):
                raise
            return missing
    return None


def _as_printed(recipe: Recipe, data: "ImageData | FaceData", device: str, root: str | Path | None) -> Run:
    start, workers = starting_point(recipe, device, root), min(8, os.cpu_count() or 1)
    return training.train(recipe, data, device=device, out=unfinished(recipe), start=start, workers=workers)


def _smoke(recipe: Recipe, device: str, made: dict[Recipe, Run]) -> Run:
    """A few steps, if they were not made for another row."""
    fitted = dataclasses.replace(recipe, data=stand_in(recipe.data).name, epochs=1, start=None)
    if fitted not in made:
        made[fitted] = training.train(fitted, stand_in(recipe.data), device=device, max_steps=8)
    return made[fitted]


def _on_stand_in(recipe: Recipe, device: str) -> Run:
    data = stand_in(recipe.data)
    return training.train(dataclasses.replace(recipe, data=data.name, start=None), data, device=device)


@cache
def stand_in(name: str) -> "ImageData | FaceData":
    """What there is without any data: digits for MNIST's, synthetic faces for all else. Their numbers mean nothing for it."""
    from marginface.data import synthetic
    from marginface.data.catalog import CLASSIFICATION, GLYPHS, HALF_SPLIT, MOST_SEEN, load, unspoiled

    name, _ = unspoiled(name)
    if name in CLASSIFICATION:
        return load("digits")
    if few := MOST_SEEN.fullmatch(name):
        return synthetic.load_classes(int(few[1]), 20, int(few[2]))
    match = HALF_SPLIT.fullmatch(name) or GLYPHS.fullmatch(name)
    return load(f"synthetic/12x4/{match[2] if match else 112}")
