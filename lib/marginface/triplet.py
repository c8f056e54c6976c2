"""The triplet loss: a sample should be nearer to those of its own class than to all others, by a margin."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from marginface.directions import unit
from marginface.pairwise import SEVERAL, PairLoss
from marginface.settings import POSITIVE, check, check_choice


@dataclass(frozen=True)
class Triplet(PairLoss):
    """The triplet loss as a recipe names it: what `triplet_loss` takes, and how many images of a person a batch has."""

    margin: float = 0.2
    mining: Literal["semi_hard", "batch_hard"] = "semi_hard"
    each: int = 4

    def __post_init__(self) -> None:
        check(self, margin=POSITIVE, each=SEVERAL)
        check_choice(self, mining=("semi_hard", "batch_hard"))

    def of(self, x: Tensor, labels: Tensor) -> Tensor:
        x = unit(x)
        distances = 2 - 2 * x @ x.T
        choose = _semi_hard if self.mining == "semi_hard" else _batch_hard
        a, p, n = choose(distances.detach(), labels[:, None] == labels)
        losses = F.relu(distances[a, p] - distances[a, n] + self.margin)
        return losses.sum() / max(len(losses), 1)


def triplet_loss(
    embeddings: Tensor,
    labels: Tensor,
    margin: float = 0.2,
    mining: Literal["semi_hard", "batch_hard"] = "semi_hard",
    check_values: bool | None = None,
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
        check_values: whether to look for NaN. None looks where nobody has to wait for the values, on a CPU.
    Returns: () float32, or float64 for float64 embeddings; 0 with a gradient of 0 where there is no triplet.
    Raises: ValueError naming what is wrong with any of them.
    """
    return Triplet(margin, mining)(embeddings, labels, check_values)


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
