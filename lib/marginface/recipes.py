"""Recipes: everything that decides how a run turns out, as plain data."""

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from marginface import margins, regularizers
from marginface.margins import Margin
from marginface.regularizers import IAM


@dataclass(frozen=True)
class Recipe:
    """One training run. Two equal recipes give the same result on the same machine.

    Milestones are fractions of the run at which the learning rate is multiplied by `gamma`. The head's class weights are
    an optimizer group of their own, with the learning rate times `head_lr_factor`.
    """

    margin: Margin
    regularizers: tuple[IAM, ...] = ()
    data: str = "mnist"
    backbone: str = "IAM-Toy"
    embedding_dim: int = 3
    epochs: int = 4
    batch_size: int = 128
    optimizer: Literal["sgd", "adam", "rmsprop"] = "sgd"
    lr: float = 0.1
    head_lr_factor: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    precision: Literal["auto", "32-true", "64-true", "bf16-mixed", "16-mixed"] = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "epochs": self.epochs >= 1,
            "batch_size": self.batch_size >= 2,
            "embedding_dim": self.embedding_dim >= 1,
            "optimizer": self.optimizer in ("sgd", "adam", "rmsprop"),
            "lr": self.lr > 0,
            "head_lr_factor": self.head_lr_factor >= 0,
            "momentum": 0 <= self.momentum < 1,
            "weight_decay": self.weight_decay >= 0,
            "milestones": all(0 < m < 1 for m in self.milestones) and list(self.milestones) == sorted(self.milestones),
            "gamma": 0 < self.gamma <= 1,
            "seed": self.seed >= 0,
        }
        for name, valid in checks.items():
            if not valid:
                raise ValueError(f"Recipe: {name}={getattr(self, name)!r} makes no sense")

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` turns back into an equal recipe."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["margin"] = _named(self.margin)
        plain["regularizers"] = [_named(r) for r in self.regularizers]
        plain["milestones"] = list(self.milestones)
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Recipe":
        margin, extra = dict(plain["margin"]), [dict(r) for r in plain["regularizers"]]
        return cls(
            **plain
            | {
                "margin": getattr(margins, margin.pop("loss"))(**margin),
                "regularizers": tuple(getattr(regularizers, r.pop("loss"))(**r) for r in extra),
                "milestones": tuple(plain["milestones"]),
            }
        )

    @property
    def key(self) -> str:
        """The first 16 hex digits of the sha256 of the whole recipe: the name of its record."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _named(loss: Margin | IAM) -> dict[str, Any]:
    """A loss as its name and its fields."""
    return {"loss": type(loss).__name__} | {f.name: getattr(loss, f.name) for f in fields(loss)}  # type: ignore[arg-type]


def with_seeds(recipe: Recipe, seeds: list[int]) -> list[Recipe]:
    """The recipe once for every seed."""
    return [replace(recipe, seed=seed) for seed in seeds]
