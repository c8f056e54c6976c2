"""Training: one recipe in, one run out. `train` and what it needs are imported when it is first asked for."""

from typing import TYPE_CHECKING, Any

from marginface.training.recipes import Recipe
from marginface.training.run import Run

if TYPE_CHECKING:
    from marginface.training.trainer import train

__all__ = ["Recipe", "Run", "train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        from marginface.training.trainer import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
