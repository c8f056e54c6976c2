"""What is summed over the logits z of the classes that are not a sample's own, and how the sum is put together from parts.

Logits are (N, k), with -∞ where a class does not count; sums are (N,). `Margin.sums` names one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from marginface.ranks import Ranks


class Exponentials:
    """log Σ e^z. Derivatives are kept relative to the highest logit of their part, which is finite."""

    nothing = -torch.inf  # of no class

    @staticmethod
    def of(logits: Tensor) -> Tensor:
        """The sum, by ordinary autograd."""
        return logits.logsumexp(dim=1)

    @staticmethod
    def joined(ranks: Ranks, share: Tensor) -> Tensor:
        """The sum of the sums of all ranks."""
        return ranks.logsumexp(share)

    @staticmethod
    def add(total: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The sum with a part more, and of that part a number (N,) and derivatives (N, k), in place, for `rest`."""
        highest = logits.amax(dim=1).clamp_min_(torch.finfo(logits.dtype).min)
        exponentials = logits.sub_(highest[:, None]).exp_()
        return torch.logaddexp(total, highest + exponentials.sum(dim=1).log()), highest, exponentials

    @staticmethod
    def rest(highest: Tensor, total: Tensor) -> Tensor:
        """What the derivatives of a part have to be multiplied by (N,), when the sum is known."""
        return (highest - _finite(total)).exp_()

    @staticmethod
    def slope(logits: Tensor, total: Tensor) -> Tensor:
        """The derivatives by the logits of a part, in place."""
        return logits.sub_(_finite(total)[:, None]).exp_()


class Softplus:
    """Σ log(1 + e^z)."""

    nothing = 0.0

    @staticmethod
    def of(logits: Tensor) -> Tensor:
        return F.softplus(logits).sum(dim=1)

    @staticmethod
    def joined(ranks: Ranks, share: Tensor) -> Tensor:
        return ranks.total(share)

    @staticmethod
    def add(total: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return total + F.softplus(logits).sum(dim=1), torch.zeros_like(total), logits.sigmoid_()

    @staticmethod
    def rest(highest: Tensor, total: Tensor) -> Tensor:
        return torch.ones_like(total)

    @staticmethod
    def slope(logits: Tensor, total: Tensor) -> Tensor:
        return logits.sigmoid_()


SUMS: dict[str, type[Exponentials] | type[Softplus]] = {"exp": Exponentials, "softplus": Softplus}


def _finite(total: Tensor) -> Tensor:
    """L is -∞ where there is no other class."""
    return total.clamp_min(torch.finfo(total.dtype).min)
