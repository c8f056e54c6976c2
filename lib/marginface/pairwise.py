"""Losses of the pairs in a batch, without class weights, and the head that has one of them.

They need batches with several images of a person, as `data.batches.IdentityBatches` gives them: `each` of each. Under
DistributedDataParallel pairs are those of a process's own batch.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marginface.checks import check_embeddings, check_labels
from marginface.directions import full_precision, unit
from marginface.settings import NOT_NEGATIVE, POSITIVE, Range, check

SEVERAL = Range(2, math.inf)  # images of a person


class PairLoss:
    """What all of them are: a frozen dataclass, and a function of a batch. A recipe names one in the place of a margin."""

    each: int  # images of a person in a batch, where a recipe draws it

    def __call__(self, embeddings: Tensor, labels: Tensor, check_values: bool | None = None) -> Tensor:
        """The loss of a batch.

        Arguments:
            embeddings: (N, d) floating point, finite.
            labels: (N,) int64, on the same device.
            check_values: whether to look for NaN. None looks where nobody has to wait for the values, on a CPU.
        Returns: () float32, or float64 for float64 embeddings; 0 with a gradient of 0 where no pair of the batch counts.
        Raises: ValueError naming what is wrong with either.
        """
        check_embeddings(embeddings, values=check_values)
        check_labels(labels, embeddings)
        with full_precision(embeddings):
            return self.of(embeddings if embeddings.dtype == torch.float64 else embeddings.float(), labels)

    def of(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss () of embeddings (N, d), float32 or float64 and of any lengths, with labels (N,)."""
        raise NotImplementedError


class PairHead(nn.Module):
    """A head without class weights."""

    def __init__(self, loss: PairLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return self.loss(embeddings, labels)

    def extra_repr(self) -> str:
        return repr(self.loss)


@dataclass(frozen=True)
class ContrastiveLoss(PairLoss):
    """½ D² of a pair of one class, ½ max(0, margin - D)² of a pair of two (Hadsell et al. 2006, Eq. 4).

    The mean over all pairs of the batch, where the paper has a sum over the pairs it is given. D is the distance, not squared.
    The paper takes it between outputs as they are; here between directions, where it is at most 2 and a margin means the same
    with any network. `normalized=False` is as printed. Two samples of different classes at the same place repel each other in
    no direction: their gradient is 0, and so it is where squared distances are below rounding (8 ε).
    """

    margin: float = 1.0
    normalized: bool = True
    each: int = 4

    def __post_init__(self) -> None:
        check(self, margin=POSITIVE, each=SEVERAL)

    def of(self, x: Tensor, labels: Tensor) -> Tensor:
        x = unit(x) if self.normalized else x
        squared, rounding = _squared_distances(x)
        apart = squared > rounding
        distance = torch.where(apart, squared, 1.0).sqrt() * apart
        losses = torch.where(labels[:, None] == labels, squared.relu(), F.relu(self.margin - distance).square()) / 2
        return losses.triu(1).sum() / max(1, len(x) * (len(x) - 1) // 2)


@dataclass(frozen=True)
class NPairLoss(PairLoss):
    """log(1 + Σ_j exp(f_i · f_j⁺ - f_i · f_i⁺)), plus `l2` times the mean of ‖f‖² (Sohn 2016, N-pair-mc).

    The paper's batch has a pair (f_i, f_i⁺) of each of N classes. Here the first two samples of a class in the batch are one,
    the next two another; a sample that is left over takes no part. The negatives of an anchor are the positives of other
    classes, and the loss is the mean over pairs. Embeddings have the lengths that they come with, which the paper keeps small
    by `l2`; 0.001 over anchors and positives is what public code's usual 0.002 comes to. A `scale` takes that many times their
    cosines instead.
    """

    l2: float = 0.001
    scale: float | None = None
    each: int = 2

    def __post_init__(self) -> None:
        check(self, l2=NOT_NEGATIVE, each=SEVERAL)
        if self.scale is not None:
            check(self, scale=POSITIVE)

    def of(self, x: Tensor, labels: Tensor) -> Tensor:
        a, p = _in_order(labels)
        f = x if self.scale is None else math.sqrt(self.scale) * unit(x)
        logits = f[a] @ f[p].T
        own = torch.eye(len(a), dtype=torch.bool, device=x.device)
        others = logits.masked_fill((labels[a][:, None] == labels[a]) & ~own, -torch.inf)
        losses = others.logsumexp(dim=1) - logits.diagonal() + self.l2 * (x[a].square() + x[p].square()).sum(dim=1) / 2
        return losses.sum() / max(1, len(a))


@dataclass(frozen=True)
class CirclePairLoss(PairLoss):
    """log(1 + Σ_n exp(γ α_n (s_n - m)) Σ_p exp(-γ α_p (s_p - 1 + m))) (Sun et al. 2020, Eq. 6, with pairs for labels).

    s are cosines, α_n = max(0, s_n + m) and α_p = max(0, 1 + m - s_p) have no gradient, which is how the paper derives it
    (Eq. 10). Eq. 6 is of one sample; the loss is the mean over those that have both a positive and a negative. m and γ are the
    paper's for retrieval with pairs; for faces, at class level, it has 0.25 and 256.
    """

    m: float = 0.4
    gamma: float = 80.0
    each: int = 4

    def __post_init__(self) -> None:
        check(self, m=Range(0, 1), gamma=POSITIVE, each=SEVERAL)

    def of(self, x: Tensor, labels: Tensor) -> Tensor:
        x = unit(x)
        same = labels[:, None] == labels
        positives = same & ~torch.eye(len(x), dtype=torch.bool, device=x.device)
        rows = (positives.any(dim=1) & ~same.all(dim=1)).nonzero()[:, 0]
        s = x[rows] @ x.T
        alpha_n, alpha_p = F.relu(s.detach() + self.m), F.relu(1 + self.m - s.detach())
        of_n = (self.gamma * alpha_n * (s - self.m)).masked_fill(same[rows], -torch.inf).logsumexp(dim=1)
        of_p = (-self.gamma * alpha_p * (s - 1 + self.m)).masked_fill(~positives[rows], -torch.inf).logsumexp(dim=1)
        return -F.logsigmoid(-of_n - of_p).sum() / max(1, len(rows))


def _squared_distances(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, N) squared distances between rows, and what they may be off by rounding."""
    lengths = x.square().sum(dim=1)
    both = lengths[:, None] + lengths
    return both - 2 * x @ x.T, 4 * torch.finfo(x.dtype).eps * both.detach()


def _in_order(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (K,) of each class's first and second sample in the batch's order, its third and fourth, and so on."""
    y, order = labels.sort(stable=True)
    place = torch.arange(len(y), device=y.device) - torch.searchsorted(y, y)  # in its class
    first = (place[:-1] % 2 == 0) & (y[:-1] == y[1:])
    return order[:-1][first], order[1:][first]
