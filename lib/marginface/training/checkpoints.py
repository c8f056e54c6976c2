"""Checkpoints: all that a run needs to go on, in one file that is whole or not there."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from marginface.data.files import printable, writing
from marginface.data.types import FaceData, ImageData
from marginface.training.recipes import Recipe


@dataclass
class Checkpoint:
    """A run between two steps.

    `epoch_start` is the state of the generator that draws the order of an epoch, before it did, and `position` the batches
    of the epoch that are done. `random` has for every process the states of the generators that dropout draws from. `data` is
    what is trained on, part by part; `film` the frames that were taken, `seconds` what it took so far. `about` is what one has
    to know to use the network (see `about`), `validation` what was measured so far, [step, value] each.
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
    theta: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    film: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    seconds: float = 0.0
    about: dict[str, Any] = field(default_factory=dict)
    validation: list[list[float]] = field(default_factory=list)


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
    "theta": torch.Tensor,
    "film": list,
    "seconds": (int, float),
    "about": dict,
    "validation": list,
}


def about(data: FaceData | ImageData) -> dict[str, Any]:
    """What a network was trained on and how images have to be for it, beside what the recipe says."""
    of_faces = (
        {"classes": list(data.classes), "crop": data.crop, "mirrored": data.mirrored} if isinstance(data, FaceData) else {}
    )
    return {
        "label": data.label,
        "num_classes": data.num_classes,
        "image_shape": list(data.image_shape),
        "colours": "RGB" if data.image_shape[0] == 3 else "grey",
        **of_faces,
    }


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write it under a temporary name and rename it. Raises: OSError naming the file, such as where the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        try:
            torch.save(vars(checkpoint), file)
        except RuntimeError as error:  # what torch makes of a write that failed
            raise OSError(None, f"{printable(path)} was not written: {error}") from error


def read(path: Path) -> Checkpoint:
    """A checkpoint, on the CPU. No code in the file is run. Raises: ValueError naming the file if it is not one."""
    try:
        found = Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise ValueError(f"{printable(path)}: there is no such file") from error
    except Exception as error:  # a damaged file fails in as many ways as there are bytes in it
        raise ValueError(f"{printable(path)}: not a whole checkpoint ({type(error).__name__})") from error
    for name, kinds in KINDS.items():
        value = getattr(found, name)
        if not isinstance(value, kinds) or (kinds is int and isinstance(value, bool)):
            raise ValueError(f"{printable(path)}: not a checkpoint: its {name} is of type {type(value).__name__}")
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            raise ValueError(f"{printable(path)}: not a checkpoint: its {name} has names that are no text")
    if trouble := _wrong_numbers(found):
        raise ValueError(f"{printable(path)}: not a checkpoint: {trouble}")
    return found


def _wrong_numbers(found: Checkpoint) -> str | None:
    """What cannot be of any run."""
    if not (0 <= found.step <= found.steps and 0 <= found.position <= found.step):
        return f"its step is {found.step} of {found.steps}, {found.position} into the epoch"
    if not 0 <= found.seconds < math.inf:
        return f"its seconds are {found.seconds}"
    if not all(isinstance(loss, float) and math.isfinite(loss) for loss in found.losses) or len(found.losses) != found.step:
        return f"its losses are not {found.step} numbers"
    for each in found.validation:
        if not (isinstance(each, list) and len(each) == 2 and all(isinstance(n, int | float) for n in each)):
            return f"its validation has {each!r}, which is no step and value"
    return None


def check(found: Checkpoint, recipe: Recipe, data: dict[str, str], steps: int, world: int | None, path: Path) -> None:
    """Raise a ValueError that says in what a checkpoint belongs to another run; `world` processes, or None for any number."""
    wanted = recipe.to_json()
    for name in sorted(wanted.keys() | found.recipe.keys()):
        if wanted.get(name) != found.recipe.get(name):
            theirs, ours = found.recipe.get(name), wanted.get(name)
            raise ValueError(f"{printable(path)} is of another run: its {name} is {theirs}, not {ours}")
    if changed := [part for part in sorted(data.keys() | found.data.keys()) if found.data.get(part) != data.get(part)]:
        then, now = (kept.get(changed[0], "not there") for kept in (found.data, data))
        more = f"; {len(changed) - 1} more have changed" if len(changed) > 1 else ""
        raise ValueError(f"{printable(path)} was trained on other data: {changed[0]!r} was {then}, and is {now} now{more}")
    for name, theirs, ours in (
        ("number of steps", found.steps, steps),
        ("number of processes", len(found.random), len(found.random) if world is None else world),
    ):
        if theirs != ours:
            raise ValueError(f"{printable(path)} is of another run: its {name} is {theirs}, not {ours}")


def check_form(there: Any, here: Any, name: str) -> None:
    """Raise a ValueError that names the first place where a state that was kept is not of the form of what is there now.

    Of tensors shape, type and layout are the form; of numbers that they are numbers.
    """
    if isinstance(here, torch.Tensor):
        if _form(there) != _form(here):
            raise ValueError(f"its {name} is {_form(there)}, and {_form(here)} here")
    elif isinstance(here, dict | list | tuple):
        if not isinstance(there, dict if isinstance(here, dict) else list | tuple):
            raise ValueError(f"its {name} is of type {type(there).__name__}, and {type(here).__name__} here")
        ours, theirs = (each if isinstance(each, dict) else dict(enumerate(each)) for each in (here, there))
        for key in {**ours, **theirs}:
            if key not in theirs or key not in ours:
                raise ValueError(f"its {name} has {'no' if key in ours else 'a'} {key!r}, unlike the one here")
            check_form(theirs[key], ours[key], f"{name}, {key}")
    elif _kind(there) != _kind(here):
        raise ValueError(f"its {name} is of type {type(there).__name__}, and {type(here).__name__} here")


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def _form(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return f"of type {type(value).__name__}"
    return f"{_times(value)} {value.dtype} {value.layout}".replace("torch.", "").removesuffix(" strided")


def started_from(recipe: Recipe, path: Path | None) -> Recipe:
    """The recipe with the run of a checkpoint as its `start`.

    Raises: ValueError where the recipe starts from another run, or from one and there is no checkpoint.
    """
    if path is None:
        if recipe.start is not None:
            raise ValueError(f"the recipe starts from the network of run {recipe.start.key}: give its checkpoint as start")
        return recipe
    found = read(path)
    try:
        base = Recipe.from_json(found.recipe)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{printable(path)}: not a checkpoint: its recipe is none ({type(error).__name__}: {error})"
        ) from error
    if recipe.start is not None and recipe.start != base:
        raise ValueError(f"{printable(path)} is of run {base.key}, and the recipe starts from run {recipe.start.key}")
    return replace(recipe, start=base)


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Give a backbone the weights of a checkpoint's. Raises: ValueError naming the first that has no place in it."""
    weights, own = backbone_weights(path), backbone.state_dict()
    for name in {**own, **weights}:
        there, here = (_times(kept[name]) if name in kept else "none" for kept in (weights, own))
        if there != here:
            raise ValueError(f"{printable(path)} has a backbone of another shape: {name} is {there} there, and {here} here")
    backbone.load_state_dict(weights)


def _times(weights: torch.Tensor) -> str:
    return " × ".join(map(str, weights.shape)) or "one number"


def backbone_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint's backbone: its moving average, where it has one.

    Raises: ValueError naming the first that is no plain tensor.
    """
    found = read(path)
    kept, prefix = (found.learner, "backbone.") if found.average is None else (found.average, "module.")
    weights = {name.removeprefix(prefix): value for name, value in kept.items() if name.startswith(prefix)}
    for name, value in weights.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_complex():
            raise ValueError(f"{printable(path)}: not a checkpoint: its {prefix}{name} is {_form(value)}")
    return weights
