"""The triplet loss: a sample should be nearer to those of its own class than to all others, by a margin."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marginface.heads import NonFiniteError


@dataclass(frozen=True)
class Triplet:
    """The triplet loss as a recipe names it: what `triplet_loss` takes, and how many images of a person a batch has."""

    margin: float = 0.2
    mining: Literal["semi_hard", "batch_hard"] = "semi_hard"
    each: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.margin < float("inf") or self.mining not in ("semi_hard", "batch_hard") or self.each < 2:
            raise ValueError(f"{self} makes no sense: margin above 0, mining semi_hard or batch_hard, each at least 2")


class TripletHead(nn.Module):
    """A head without class weights, with which a trained network is tuned further."""

    def __init__(self, loss: Triplet) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return triplet_loss(embeddings, labels, self.loss.margin, self.loss.mining)


def triplet_loss(
    embeddings: Tensor,
    labels: Tensor,
    margin: float = 0.2,
    mining: Literal["semi_hard", "batch_hard"] = "semi_hard",
) -> Tensor:
    """The mean of max(0, ‖a - p‖² - ‖a - n‖² + margin) over triplets of a batch (Schroff et al. 2015, FaceNet Section 3.1).

    Embeddings are brought to unit length, and distances are squared, for both kinds of mining.
    "semi_hard" takes every pair (a, p) of a class, and the nearest n that is farther from a than p is, by more than rounding
    (8 ε: a copy of p with another label is not); a pair without such an n forms no triplet (FaceNet Section 3.2). "batch_hard"
    takes every a with its farthest p and its nearest n (Hermans et al. 2017, Eq. 5). A triplet that already keeps the margin
    counts in the mean with its 0.

    Arguments:
        embeddings: (N, d) floating point, finite.
        labels: (N,) int64, on the same device.
        margin: α, above 0.
        mining: how triplets are chosen.
    Returns: () float32, or float64 for float64 embeddings; 0 with a gradient of 0 where there is no triplet.
    Raises: ValueError naming what is wrong with any of them.
    """
    _check(embeddings, labels, margin)
    if mining not in ("semi_hard", "batch_hard"):
        raise ValueError(f"mining={mining!r} must be 'semi_hard' or 'batch_hard'")
    with torch.autocast(embeddings.device.type, enabled=False):
        x = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        norms = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        x = x / torch.where(norms > 1e-12, norms, 1.0)  # a zero embedding stays zero, and its gradient small
        distances = 2 - 2 * x @ x.T
        choose = _semi_hard if mining == "semi_hard" else _batch_hard
        a, p, n = choose(distances.detach(), labels[:, None] == labels)
        losses = F.relu(distances[a, p] - distances[a, n] + margin)
        return losses.sum() / max(len(losses), 1)


def _semi_hard(distances: Tensor, same: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Indices a, p, n of the triplets, each (K,), from squared distances (N, N) and which pairs share a class."""
    negatives, order = distances.masked_fill(same, torch.inf).sort(dim=1)
    farther = distances + 8 * torch.finfo(distances.dtype).eps  # by more than rounding: a copy of p is as near as p
    place = torch.searchsorted(negatives, farther, right=True).clamp_max(len(same) - 1)
    exists = (negatives.gather(1, place) > farther) & (negatives.gather(1, place) < torch.inf)
    a, p = (same.fill_diagonal_(False) & exists).nonzero(as_tuple=True)
    return a, p, order.gather(1, place)[a, p]


def _batch_hard(distances: Tensor, same: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same, one triplet for every sample that has both a positive and a negative."""
    others = ~same
    positives = same.fill_diagonal_(False)
    a = (positives.any(dim=1) & others.any(dim=1)).nonzero()[:, 0]
    p = distances.masked_fill(~positives, -torch.inf).argmax(dim=1)
    n = distances.masked_fill(~others, torch.inf).argmin(dim=1)
    return a, p[a], n[a]


def _check(embeddings: Tensor, labels: Tensor, margin: float) -> None:
    if embeddings.dim() != 2 or len(embeddings) == 0:
        raise ValueError(f"embeddings must have shape (N, d) with N at least 1, not {tuple(embeddings.shape)}")
    if not embeddings.is_floating_point():
        raise ValueError(f"embeddings must be floating point, not {embeddings.dtype}")
    if not torch.isfinite(embeddings).all():
        raise NonFiniteError("embeddings hold NaN or infinity")
    if labels.shape != embeddings.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(f"labels must be int64 ({len(embeddings)},), not {labels.dtype} {tuple(labels.shape)}")
    if labels.device != embeddings.device:
        raise ValueError(f"labels are on {labels.device}, embeddings on {embeddings.device}")
    if not 0 < margin < float("inf"):
        raise ValueError(f"margin={margin!r} must be a finite number above 0")
