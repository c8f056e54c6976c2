"""Terms that are added to a loss. A regularizer never changes what the margin under it computes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """What a head knows about a batch when it has its logits: all that a regularizer may look at."""

    target: Tensor  # (N,) z_y, the logit of the own class, with the margin
    others: Tensor  # (N,) L, the log-sum-exp of all other classes' logits, with the margin
    plain_target: Tensor  # (N,) z_y without the margin
    plain_others: Callable[[], Tensor]  # L without the margin: computed on demand, where U changes it
    num_classes: int


@dataclass(frozen=True)
class IAM:
    """β times the inter-class angular margin loss (IAM Eq. 7-8): log of (1 - p) / (C - 1).

    With L and z as in `Terms`, 1 - p = σ(L - z), so the term is log σ(L - z) - log(C - 1) and costs nothing.
    Eq. 7 has plain cosines, also where the base loss has a margin: `on="cosines"`. `on="logits"` takes p from the base
    loss's own target logit instead.
    """

    beta: float
    on: Literal["cosines", "logits"] = "cosines"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise ValueError(f"IAM: beta={self.beta!r} must be a finite number, at least 0")
        if self.on not in ("cosines", "logits"):
            raise ValueError(f"IAM: on={self.on!r} must be 'cosines' or 'logits'")

    def __call__(self, terms: Terms) -> Tensor:
        if terms.num_classes < 2:
            raise ValueError("IAM needs at least two classes: log(C - 1) is its yardstick")
        plain = self.on == "cosines"
        gap = terms.plain_others() - terms.plain_target if plain else terms.others - terms.target
        return self.beta * (F.logsigmoid(gap) - math.log(terms.num_classes - 1)).mean()
