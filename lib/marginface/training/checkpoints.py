"""Checkpoints: all that a run needs to go on, in one file that is whole or not there."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from marginface.data.files import writing
from marginface.training.recipes import Recipe


@dataclass
class Checkpoint:
    """A run between two steps.

    `epoch_start` is the state of the generator that draws the order of an epoch, before it did, and `position` the batches
    of the epoch that are done. `random` has for every process the states of the generators that dropout draws from. `data` is
    what is trained on, part by part; `film` the frames that were taken, `seconds` what it took so far.
    """

    recipe: dict[str, Any]
    data: dict[str, str]
    steps: int
    step: int
    position: int
    epoch_start: torch.Tensor
    learner: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    scaler: dict[str, Any]
    average: dict[str, Any] | None
    random: list[dict[str, torch.Tensor]]
    losses: list[float] = field(default_factory=list)
    theta: torch.Tensor | None = None
    film: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    seconds: float = 0.0


# what is in a checkpoint; what is in the states of optimizer and networks is known when these are loaded
KINDS: dict[str, type | tuple[type, ...]] = {
    "recipe": dict,
    "data": dict,
    "steps": int,
    "step": int,
    "position": int,
    "epoch_start": torch.Tensor,
    "learner": dict,
    "optimizer": dict,
    "schedule": dict,
    "scaler": dict,
    "average": (dict, type(None)),
    "random": list,
    "losses": list,
    "theta": (torch.Tensor, type(None)),
    "film": list,
    "seconds": (int, float),
}


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write it under a temporary name and rename it. Raises: OSError naming the file, such as where the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        try:
            torch.save(vars(checkpoint), file)
        except RuntimeError as error:  # what torch makes of a write that failed
            if "DataLoader worker" in str(error):  # a reader was killed meanwhile, and the write has not failed
                raise
            raise OSError(None, f"{path} was not written: {error}") from error


def read(path: Path) -> Checkpoint:
    """A checkpoint, on the CPU. No code in the file is run. Raises: ValueError naming the file if it is not one."""
    try:
        found = Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: there is no such file") from error
    except Exception as error:  # a damaged file fails in as many ways as there are bytes in it
        raise ValueError(f"{path}: not a whole checkpoint ({type(error).__name__})") from error
    for name, kinds in KINDS.items():
        if not isinstance(value := getattr(found, name), kinds):
            raise ValueError(f"{path}: not a checkpoint: its {name} is of type {type(value).__name__}")
    return found


def check(found: Checkpoint, recipe: Recipe, data: dict[str, str], steps: int, world: int, path: Path) -> None:
    """Raise a ValueError that says in what a checkpoint belongs to another run."""
    wanted = recipe.to_json()
    for name in sorted(wanted.keys() | found.recipe.keys()):
        if wanted.get(name) != found.recipe.get(name):
            raise ValueError(f"{path} is of another run: its {name} is {found.recipe.get(name)}, not {wanted.get(name)}")
    if changed := [part for part in sorted(data.keys() | found.data.keys()) if found.data.get(part) != data.get(part)]:
        then, now = (kept.get(changed[0], "not there") for kept in (found.data, data))
        more = f"; {len(changed) - 1} more have changed" if len(changed) > 1 else ""
        raise ValueError(f"{path} was trained on other data: {changed[0]!r} was {then}, and is {now} now{more}")
    for name, theirs, ours in (
        ("number of steps", found.steps, steps),
        ("number of processes", len(found.random), world),
    ):
        if theirs != ours:
            raise ValueError(f"{path} is of another run: its {name} is {theirs}, not {ours}")


def started_from(recipe: Recipe, path: Path | None) -> Recipe:
    """The recipe with the run of a checkpoint as its `start`.

    Raises: ValueError where the recipe starts from another run, or from one and there is no checkpoint.
    """
    if path is None:
        if recipe.start is not None:
            raise ValueError(f"the recipe starts from the network of run {recipe.start.key}: give its checkpoint as start")
        return recipe
    base = Recipe.from_json(read(path).recipe)
    if recipe.start is not None and recipe.start != base:
        raise ValueError(f"{path} is of run {base.key}, and the recipe starts from run {recipe.start.key}")
    return replace(recipe, start=base)


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Give a backbone the weights of a checkpoint's. Raises: ValueError naming the first that has no place in it."""
    weights, own = backbone_weights(path), backbone.state_dict()
    for name in own.keys() | weights.keys():
        there, here = (tuple(kept[name].shape) if name in kept else "none" for kept in (weights, own))
        if there != here:
            raise ValueError(
                f"{path} has a backbone of another shape: {name} is {_times(there)} there, and {_times(here)} here"
            )
    backbone.load_state_dict(weights)


def _times(shape: tuple[int, ...] | str) -> str:
    return shape if isinstance(shape, str) else " × ".join(map(str, shape)) or "one number"


def backbone_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint's backbone: its moving average, where it has one."""
    found = read(path)
    if found.average is not None:
        return {name.removeprefix("module."): value for name, value in found.average.items() if name != "n_averaged"}
    return {n.removeprefix("backbone."): value for n, value in found.learner.items() if n.startswith("backbone.")}
