"""Terms that are added to a loss. A regularizer never changes what the margin under it computes."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from marginface.directions import norms
from marginface.ranks import Ranks, within
from marginface.settings import NOT_NEGATIVE, POSITIVE, Range, check, check_choice, check_number


def gathered(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The rows (N, …) of all processes of torch.distributed, in their order, without a gradient. Each may have its own N.

    Where there is one process, the tensors themselves. All processes have to call this together.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return tensors
    count = torch.tensor([len(tensors[0])], device=tensors[0].device)
    counts = [torch.empty_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    sizes = torch.cat(counts).tolist()
    return tuple(_gather(tensor.detach(), sizes) for tensor in tensors)


def process() -> int:
    """The number of this process among all of torch.distributed; 0 where there is one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def _gather(tensor: Tensor, sizes: list[int]) -> Tensor:
    padded = tensor.new_zeros(max(sizes), *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


@dataclass(frozen=True)
class Terms:
    """What a head knows about a batch when it has its logits: all that a regularizer may look at."""

    target: Tensor  # (N,) z_y, the logit of the own class, with the margin
    others: Tensor  # (N,) L, the log-sum-exp of all other classes' logits, with the margin
    plain_target: Tensor  # (N,) s · cos θ_y, whatever norms and bias the logits have
    plain_others: Callable[
        ..., Tensor
    ]  # L of s · cos θ_j, with another s where one is given; computed where it is not the same
    num_classes: int
    embeddings: Tensor  # (N, d) as they came from the network
    labels: Tensor  # (N,) int64
    cosine: Tensor  # (N,) between each sample and the weight of its own class
    class_weights: Tensor  # (C, d) of any lengths; where classes are over ranks, those of this rank
    steps: Callable[[], int] = lambda: 0  # of the optimizer, that were done before this batch; looked up on demand
    moves: bool = True  # whether state may follow this batch: a pass with gradients, and no repetition of another
    repeats: bool = False  # whether this is the pass that torch.utils.checkpoint makes a second time
    gather: Callable[..., tuple[Tensor, ...]] = gathered  # the rows of the whole batch, where processes share it
    ranks: Ranks | None = None  # the processes that the classes are over; each then has the whole batch's N samples
    first: int = 0  # the first class of this rank

    def own(self, table: Tensor) -> Tensor:
        """The rows (N, …) of the samples' classes, of a table with a row for each class that this process has."""
        return table[self.labels] if self.ranks is None else self.ranks.own(table, self.labels - self.first)


class Stateless:
    """A regularizer that keeps nothing: a frozen dataclass, and a function of `Terms` that returns what to add, () or (N,)."""

    def __call__(self, terms: Terms) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class IAM(Stateless):
    """β times the inter-class angular margin loss (IAM Eq. 7-8): log of (1 - p) / (C - 1).

    With L and z as in `Terms`, 1 - p = σ(L - z), so the term is log σ(L - z) - log(C - 1) and costs nothing.
    Eq. 7 has plain cosines, also where the base loss has a margin, norms or a bias: `on="cosines"`. `on="logits"` takes p from
    the base loss's own logits instead. `scale` is the s of the cosines; None takes the base loss's, and 1 where that has none
    because it keeps norms, as the softmax does: with 1, hundreds of classes have nearly the same p, and the term does nothing.
    """

    beta: float
    on: Literal["cosines", "logits"] = "cosines"
    scale: float | None = field(default=None, metadata={"later": True})

    def __post_init__(self) -> None:
        check(self, beta=NOT_NEGATIVE)
        if self.scale is not None:
            check(self, scale=POSITIVE)
            if self.on == "logits":
                raise ValueError(f"IAM: scale={self.scale!r} is that of cosines; logits have the base loss's own")
        check_choice(self, on=("cosines", "logits"))

    def __call__(self, terms: Terms) -> Tensor:
        if terms.num_classes < 2:
            raise ValueError("IAM needs at least two classes: log(C - 1) is its yardstick")
        if self.on == "logits":
            gap = terms.others - terms.target
        elif self.scale is None:
            gap = terms.plain_others() - terms.plain_target
        else:
            gap = terms.plain_others(self.scale) - self.scale * terms.cosine
        return self.beta * (F.logsigmoid(gap) - math.log(terms.num_classes - 1))


class Stateful(nn.Module):
    """A regularizer with parameters or buffers. `MarginHead` tells it the sizes, and registers it as a part of itself.

    It is a function of `Terms` as any other: `forward` takes them and returns what to add, () or (N,). What it keeps follows a
    batch where `self.training and terms.moves`. Processes that share a batch must all end with the same: what moves it are the
    rows that `terms.gather` gives, the whole batch's. Where classes are over ranks, each has its rows of the tables that
    `per_class` names, from class `terms.first` on.
    """

    per_class: tuple[str, ...] = ()  # parameters and buffers with a row for each class

    def __init__(self, weight: float) -> None:
        super().__init__()
        check_number(f"{type(self).__name__}: weight", weight, NOT_NEGATIVE)
        self.weight = weight

    def bind(self, embedding_dim: int, num_classes: int, held: int | None = None) -> None:
        """Create what depends on d and C, where anything does, for so many of the classes as are `held` here; None is all."""

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
    """weight · 1/2 ‖x - c_y‖², of each sample (Wen et al. 2016, Eq. 2; the mean over the batch where they print the sum).

    The centres start at zero. They move by the authors' own rule, Eq. 3-4: c_j loses α Σ (c_j - x) / (1 + n) over the n
    samples of its class. That is the default because it depends on neither the weight nor the optimizer's settings, weight
    decay among them. `centres="learned"` makes them parameters with the loss's own gradient, as most PyTorch code does.

    Arguments:
        weight: λ, with which the loss is added.
        centres: "rule" or "learned".
        alpha: the rule's rate, in [0, 1].
    """

    per_class = ("centre",)
    centre: Tensor  # (C, d); (0, 0) before `bind`

    def __init__(self, weight: float, centres: Literal["rule", "learned"] = "rule", alpha: float = 0.5) -> None:
        super().__init__(weight)
        if centres not in ("rule", "learned"):
            raise ValueError(f"CenterLoss: centres={centres!r} must be 'rule' or 'learned'")
        check_number("CenterLoss: alpha", alpha, Range(0, 1))
        self.centres, self.alpha = centres, alpha
        if centres == "learned":
            self.centre = nn.Parameter(torch.empty(0, 0))
        else:
            self.register_buffer("centre", torch.empty(0, 0))
        self._before = torch.empty(0)  # the last batch's centres, as they were when it came

    def bind(self, embedding_dim: int, num_classes: int, held: int | None = None) -> None:
        """Put all centres at zero. Raises ValueError where there already are others of another shape."""
        rows = num_classes if held is None else held
        if self.centre.shape not in ((0, 0), (rows, embedding_dim)):
            raise ValueError(f"this CenterLoss has centres {tuple(self.centre.shape)}, not ({rows}, {embedding_dim})")
        if self.centre.shape == (0, 0):
            self.centre.data = self.centre.new_zeros(rows, embedding_dim)

    def reset_parameters(self) -> None:
        """Put all centres back to zero."""
        nn.init.zeros_(self.centre)

    def forward(self, terms: Terms) -> Tensor:
        if self.centre.shape == (0, 0):
            raise ValueError("this CenterLoss does not know its classes yet: give it to a MarginHead, or call bind")
        own = self._before if terms.repeats and self.centres == "rule" else terms.own(self.centre)
        difference = terms.embeddings - own
        if self.centres == "rule" and self.training and terms.moves:
            self._before = own
            self._move(*terms.gather(difference.detach(), terms.labels - terms.first))
        return self.weight * 0.5 * difference.square().sum(dim=1)

    @torch.no_grad()
    def _move(self, difference: Tensor, place: Tensor) -> None:
        if len(self.centre) == 0:
            return
        inside, place = within(place, len(self.centre))
        count = self.centre.new_zeros(len(self.centre)).index_add_(0, place, inside.to(self.centre.dtype))
        step = self.alpha * difference * inside[:, None] / (1 + count[place, None])
        self.centre.index_add_(0, place, step.to(self.centre.dtype))

    def extra_repr(self) -> str:
        return f"weight={self.weight}, centres={self.centres!r}, alpha={self.alpha}"


class RingLoss(Stateful):
    """weight · 1/2 (‖x‖ - R)², of each sample (Zheng et al. 2018), with the radius R learned like any other parameter.

    R starts as the mean norm of the first training batch. A zero embedding has no direction to go, and a zero gradient.
    """

    R: Tensor  # (); 0 before the first training batch

    def __init__(self, weight: float) -> None:
        super().__init__(weight)
        self.R = nn.Parameter(torch.zeros(()))

    def reset_parameters(self) -> None:
        """Let the radius start anew."""
        nn.init.zeros_(self.R)

    def forward(self, terms: Terms) -> Tensor:
        lengths = norms(terms.embeddings)
        if self.training and terms.moves:
            (whole_batch,) = terms.gather(lengths.detach())
            with torch.no_grad():
                self.R.copy_(torch.where(self.R == 0, whole_batch.mean(), self.R))  # nobody waits for a GPU to say whether
        return self.weight * 0.5 * (lengths - self.R).square()
