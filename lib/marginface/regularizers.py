"""Terms that are added to a loss. A regularizer never changes what the margin under it computes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Terms:
    """What a head knows about a batch when it has its logits: all that a regularizer may look at."""

    target: Tensor  # (N,) z_y, the logit of the own class, with the margin
    others: Tensor  # (N,) L, the log-sum-exp of all other classes' logits, with the margin
    plain_target: Tensor  # (N,) z_y without the margin
    plain_others: Callable[[], Tensor]  # L without the margin: computed on demand, where U changes it
    num_classes: int
    embeddings: Tensor  # (N, d) as they came from the network
    labels: Tensor  # (N,) int64
    cosine: Tensor  # (N,) between each sample and the weight of its own class
    class_weights: Tensor  # (C, d) of any lengths


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


class Stateful(nn.Module):
    """A regularizer with parameters or buffers. `MarginHead` tells it the sizes, and registers it as a part of itself.

    It is a function of `Terms` as any other: `forward` takes them and returns the scalar to add.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"{type(self).__name__}: weight={weight!r} must be a finite number, at least 0")
        self.weight = weight

    def bind(self, embedding_dim: int, num_classes: int) -> None:
        """Create what depends on d and C, where anything does."""

    def extra_repr(self) -> str:
        return f"weight={self.weight}"


@dataclass(frozen=True)
class Fresh:
    """A stateful regularizer as a recipe names it: its class and settings, from which every run builds its own.

    `Fresh.of(CenterLoss, weight=0.003)`.
    """

    kind: type[Stateful]
    settings: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, kind: type[Stateful], **settings: Any) -> "Fresh":
        kind(**settings)  # raises where they make no sense
        return cls(kind, tuple(sorted(settings.items())))

    def build(self) -> Stateful:
        return self.kind(**dict(self.settings))

    def __str__(self) -> str:
        return f"{self.kind.__name__}({', '.join(f'{name}={value!r}' for name, value in self.settings)})"


class CenterLoss(Stateful):
    """weight · 1/2 mean ‖x - c_y‖² (Wen et al. 2016, Eq. 2; the mean over the batch where they print the sum).

    The centres start at zero. They move by the authors' own rule, Eq. 3-4: c_j loses α Σ (c_j - x) / (1 + n) over the n
    samples of its class. That is the default because it depends on neither the weight nor the optimizer's settings, weight
    decay among them. `centres="learned"` makes them parameters with the loss's own gradient, as most PyTorch code does.

    Arguments:
        weight: λ, with which the loss is added.
        centres: "rule" or "learned".
        alpha: the rule's rate, in [0, 1].
    """

    centre: Tensor  # (C, d); empty before `bind`

    def __init__(self, weight: float, centres: Literal["rule", "learned"] = "rule", alpha: float = 0.5) -> None:
        super().__init__(weight)
        if centres not in ("rule", "learned"):
            raise ValueError(f"CenterLoss: centres={centres!r} must be 'rule' or 'learned'")
        if not 0 <= alpha <= 1:
            raise ValueError(f"CenterLoss: alpha={alpha!r} must lie in [0, 1]")
        self.centres, self.alpha = centres, alpha
        if centres == "learned":
            self.centre = nn.Parameter(torch.empty(0, 0))
        else:
            self.register_buffer("centre", torch.empty(0, 0))

    def bind(self, embedding_dim: int, num_classes: int) -> None:
        """Put all centres at zero. Raises ValueError where there already are others of another shape."""
        if self.centre.shape not in ((0, 0), (num_classes, embedding_dim)):
            raise ValueError(f"this CenterLoss has centres {tuple(self.centre.shape)}, not ({num_classes}, {embedding_dim})")
        if len(self.centre) == 0:
            self.centre.data = self.centre.new_zeros(num_classes, embedding_dim)

    def forward(self, terms: Terms) -> Tensor:
        if len(self.centre) == 0:
            raise ValueError("this CenterLoss does not know its classes yet: give it to a MarginHead, or call bind")
        difference = terms.embeddings - self.centre[terms.labels]
        if self.centres == "rule" and self.training:
            self._move(difference.detach(), terms.labels)
        return self.weight * 0.5 * difference.square().sum(dim=1).mean()

    @torch.no_grad()
    def _move(self, difference: Tensor, labels: Tensor) -> None:
        count = labels.bincount(minlength=len(self.centre))[labels, None]
        self.centre.index_add_(0, labels, (self.alpha * difference / (1 + count)).to(self.centre.dtype))

    def extra_repr(self) -> str:
        return f"weight={self.weight}, centres={self.centres!r}, alpha={self.alpha}"


class RingLoss(Stateful):
    """weight · 1/2 mean (‖x‖ - R)² (Zheng et al. 2018), with the radius R learned like any other parameter.

    R starts as the mean norm of the first training batch. A zero embedding has no direction to go, and a zero gradient.
    """

    R: Tensor  # (); 0 before the first training batch

    def __init__(self, weight: float) -> None:
        super().__init__(weight)
        self.R = nn.Parameter(torch.zeros(()))

    def forward(self, terms: Terms) -> Tensor:
        norms = torch.linalg.vector_norm(terms.embeddings, dim=1)
        if self.training and self.R.item() == 0:
            self.R.data.copy_(norms.detach().mean())
        return self.weight * 0.5 * (norms - self.R).square().mean()
