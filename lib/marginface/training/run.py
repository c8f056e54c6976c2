"""What came out of a recipe."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from marginface.training.recipes import Recipe

if TYPE_CHECKING:
    from marginface.training.learner import Learner


@dataclass
class Run:
    """What came out of a recipe. `learner` is there after training and not in a record."""

    recipe: Recipe
    metrics: dict[str, float]
    curves: dict[str, list[float]]
    arrays: dict[str, np.ndarray]
    data_label: str
    data_fingerprint: str
    provenance: dict[str, Any] = field(default_factory=dict)
    learner: "Learner | None" = None
