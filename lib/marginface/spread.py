"""Regularizers on distances: between the samples of a batch, and between the classes.

What looks at a batch needs several images of a person in it: `each` is how many a recipe's batches have then. Under
DistributedDataParallel with whole heads it sees a process's own batch, with classes over ranks that of all ranks.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from marginface.adjacent_sharded import Round
from marginface.directions import unit
from marginface.ranks import Ranks
from marginface.regularizers import Stateless, Terms
from marginface.settings import NOT_NEGATIVE, Range, check, check_choice

NEAR, AT_ONCE = 0.01, 16_384  # squared distances of directions, and how many pairs are subtracted at a time
ANY = Range(1, math.inf)  # images of a person; with 1 a recipe draws images as without this


@dataclass(frozen=True)
class MarginalLoss(Stateless):
    """weight · max(0, ξ - y_ij (τ - ‖x_i - x_j‖²)), of directions x and with y_ij = ±1 (Deng et al. 2017).

    The distance is squared, `threshold` is τ (the paper's θ) and `margin` ξ. Of each sample the mean over all others, so that
    the mean over the batch is that over the paper's m² - m pairs; 0 where there is no other.
    """

    weight: float
    threshold: float = 1.2
    margin: float = 0.3
    each: int = 4

    def __post_init__(self) -> None:
        check(self, weight=NOT_NEGATIVE, threshold=Range(0, 4), margin=NOT_NEGATIVE, each=ANY)

    def __call__(self, terms: Terms) -> Tensor:
        x = unit(terms.embeddings)
        squared = 2 - 2 * x @ x.T
        alike = torch.where(terms.labels[:, None] == terms.labels, 1.0, -1.0).to(x.dtype)
        losses = F.relu(self.margin - alike * (self.threshold - squared))
        losses = losses.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), 0.0)
        return self.weight * losses.sum(dim=1) / max(1, len(x) - 1)


@dataclass(frozen=True)
class RangeLoss(Stateless):
    """alpha · Σ over classes of the harmonic mean of the k largest D, plus beta · max(0, margin - smallest D of two centres).

    D is a squared distance: within a class that of two samples, and between classes that of two centres, the means of their
    samples in the batch (Zhang et al. 2017). Embeddings have the lengths that they come with, on which alpha, beta and margin
    depend, so none of them has a default. A sum over classes as printed, one number for the batch. A class with fewer than k
    pairs has the mean of those that it has; with one class there are no two centres. Two samples at one place make the
    harmonic mean 0, with a finite gradient.
    """

    alpha: float
    beta: float
    margin: float
    k: int = 2
    each: int = 4

    def __post_init__(self) -> None:
        check(self, alpha=NOT_NEGATIVE, beta=NOT_NEGATIVE, margin=NOT_NEGATIVE, k=ANY, each=ANY)

    def __call__(self, terms: Terms) -> Tensor:
        x = terms.embeddings
        classes, y = terms.labels.unique(return_inverse=True)
        return self.alpha * self._within(x, y, len(classes)) + self.beta * self._between(x, y, len(classes))

    def _within(self, x: Tensor, y: Tensor, classes: int) -> Tensor:
        i, j = (y[:, None] == y).triu(1).nonzero(as_tuple=True)
        i, j = _largest(i, j, _distances(x)[i, j], y, int(self.k))
        tiny = torch.finfo(x.dtype).tiny
        D = (x[i] - x[j]).square().sum(dim=1).clamp_min(tiny)
        smallest = D.new_ones(classes).scatter_reduce(0, y[i], D.detach(), "amin", include_self=False)
        inverse = D.new_zeros(classes).index_add(0, y[i], smallest[y[i]] / D)  # times the smallest, so that none is too large
        count = y[i].bincount(minlength=classes)
        return (count * smallest / inverse.masked_fill(count == 0, 1.0)).sum()

    def _between(self, x: Tensor, y: Tensor, classes: int) -> Tensor:
        if classes < 2:
            return x.new_zeros(())
        centres = x.new_zeros(classes, x.shape[1]).index_add(0, y, x) / y.bincount(minlength=classes)[:, None]
        nearest = _distances(centres).fill_diagonal_(torch.inf).argmin()
        q, r = nearest // classes, nearest % classes
        return F.relu(self.margin - (centres[q] - centres[r]).square().sum())


@torch.no_grad()
def _distances(x: Tensor) -> Tensor:
    """(N, N) between rows, to choose by: as exact for two that are near as for two that are far."""
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


def _largest(i: Tensor, j: Tensor, distance: Tensor, y: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Of the pairs (i, j) the k of each class with the largest distances."""
    order = distance.argsort(descending=True)
    order = order[y[i][order].argsort(stable=True)]
    of = y[i][order]
    chosen = order[torch.arange(len(of), device=of.device) - torch.searchsorted(of, of) < k]
    return i[chosen], j[chosen]


@dataclass(frozen=True)
class UniformFace(Stateless):
    """weight · the mean of 1 / (1 + ‖c_i - c_j‖) over all pairs of class centres (Duan et al. 2019, Eq. 6; λ is 1 there).

    The distance is Euclidean, not squared. Centres are the directions of the class weights, which the base loss has as the
    classes' centres and to which the gradient goes. The paper's are running means of the samples (Eq. 7), through which its
    text does not say how the gradient reaches the network. One class repels none.

    All pairs take C / N times the head's products. With `pairs="batch"` they are those of a class of the batch with any other,
    and only the former moves, as of the paper's centres only those move whose samples are in the batch.
    """

    weight: float = 1.0
    pairs: Literal["all", "batch"] = "all"

    def __post_init__(self) -> None:
        check(self, weight=NOT_NEGATIVE)
        check_choice(self, pairs=("all", "batch"))

    def __call__(self, terms: Terms) -> Tensor:
        moving = terms.labels.unique() if self.pairs == "batch" else None
        return self.weight * potential(terms.class_weights, terms.ranks, moving)


def potential(
    class_weights: Tensor, ranks: Ranks | None = None, moving: Tensor | None = None, block_size: int | None = None
) -> Tensor:
    """The mean of 1 / (1 + distance) over all pairs of directions, a block of classes with a block of classes at a time.

    Arguments:
        class_weights: (C, d) float32 or float64 of any lengths.
        ranks: the processes that the classes are over, where `class_weights` are those of this one. Blocks go round.
        moving: (n,) int64 different classes in [0, C), the same on every rank. Pairs are then of one of them with any other
            class, which is a constant. None is all pairs.
        block_size: how many classes are compared with how many at a time; None is 512 on a CPU and 4096 on a GPU.
    Returns: (), the same on every rank; 0 where there are fewer than two classes.
    Raises: ValueError for class weights of another shape, such as several a class.
    """
    if class_weights.dim() != 2 or not class_weights.is_floating_point():
        kind = f"{class_weights.dtype} {tuple(class_weights.shape)}"
        raise ValueError(f"class_weights must be floating point (C, d), one a class, not {kind}")
    ranks = ranks or Ranks.alone()
    sizes = [size for (size,) in ranks.agree(None, len(class_weights))]
    C, size = sum(sizes), block_size or (512 if class_weights.device.type == "cpu" else 4096)
    with ranks.together():
        round_ = Round(ranks, class_weights, class_weights.new_zeros(len(class_weights)), sizes, size)
        if moving is None:
            rows, count, ends = torch.arange(len(class_weights), device=class_weights.device), C, 2
        else:
            rows, count, ends = moving - round_.first, len(moving), 1
            rows = rows[(rows >= 0) & (rows < len(class_weights))]
        return _Potential.apply(class_weights, round_, rows, ends) / max(1, count * (C - 1))


def _distances_of_directions(u: Tensor, v: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """(n, m) distances of unit rows, and which are near: those are of their difference, where 2 - 2 cos has lost its digits."""
    squared = (u @ v.T).mul_(-2).add_(2)
    i, j = (squared < NEAR).nonzero(as_tuple=True)
    near = list(zip(i.split(AT_ONCE), j.split(AT_ONCE), strict=True))
    for a, b in near:
        squared[a, b] = (u[a] - v[b]).square().sum(dim=1)
    return squared.sqrt_(), near


def _pull(weight: Tensor, distance: Tensor, near: list[tuple[Tensor, Tensor]], u: Tensor, v: Tensor) -> Tensor:
    """(n, d) Σ_j weight · (v_j - u) / distance, but for multiples of u; two at one place have no direction, and add nothing.

    Of near ones from their difference, too: v_j over a small distance would leave few digits to all that it is added to.
    """
    slope = weight.div_(distance.clamp_min(torch.finfo(distance.dtype).tiny))
    of_near = [slope[a, b] for a, b in near]
    for a, b in near:
        slope[a, b] = 0.0
    pull = slope @ v
    for (a, b), each in zip(near, of_near, strict=True):
        pull.index_add_(0, a, each[:, None] * (v[b] - u[a]))
    return pull


class _Potential(torch.autograd.Function):
    """Σ 1 / (1 + distance) of some of this rank's rows to all others, and its gradient for these rows, both found in one round.

    With `ends` 2 every pair is in the sum twice, and in the gradient of a row once for each.
    """

    @staticmethod
    def forward(ctx: Any, W: Tensor, round_: Round, rows: Tensor, ends: int) -> Tensor:
        total, gradient = W.new_zeros(()), torch.zeros_like(round_.unit)
        for _, start, columns, _ in round_.blocks():
            first = start - round_.first
            for part in rows.split(round_.size):
                u = round_.unit[part]
                distance, near = _distances_of_directions(u, columns)
                energy = (distance + 1).reciprocal_()
                itself = ((part >= first) & (part < first + len(columns))).nonzero()[:, 0]
                energy[itself, part[itself] - first] = 0.0
                total += energy.sum()
                # a row moves within its tangent plane
                pull = _pull(energy.square_(), distance, near, u, columns)
                gradient.index_add_(0, part, pull - (pull * u).sum(dim=1, keepdim=True) * u, alpha=ends)
        ctx.save_for_backward(gradient.mul_(round_.inverse[:, None]))
        return round_.ranks.sum(total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (own,) = ctx.saved_tensors
        return gradient * own, None, None, None
