"""What a loss may know of a batch before it has its margin: norms, cosines with the own classes, and what it has kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from marginface.margins import Margin


@dataclass(frozen=True)
class Batch:
    """N samples that a loss meets; see `Margin.meet`. Where classes are over ranks, those of all ranks."""

    norms: Tensor  # (N,) of the embeddings, as they came from the network
    cosine: Tensor  # (N,) with the own class, without a gradient
    num_classes: int
    number: int  # batches in training before this one
    kept: Mapping[str, Tensor]  # what `Margin.keeps` and `Margin.learns` name, as it was before this batch
    follows: bool  # whether what is kept is to follow this batch: in training, and not when a network is tested
    others: Callable[[Tensor], Tensor]  # L (N,) of plain cosines times a scale (), without a gradient: a pass over all classes
    own: Callable[[Tensor], Tensor]  # the rows (N, …) of the samples' classes, of a table with one for each class
    mean: Callable[[Tensor], Tensor]  # the mean over all classes of a table (C,)
    gather: Callable[[Tensor], Tensor]  # values (N,) of the whole batch, where processes share it, without a gradient


@dataclass(frozen=True, eq=False)
class Scaled(Margin):
    """Cosines times any scale, which may be a tensor ()."""

    by: float | Tensor = 1.0

    @property
    def factor(self) -> float | Tensor:
        return self.by


class Kept(nn.Module):
    """What a loss keeps from batch to batch, as buffers, and what it learns for each class, as parameters."""

    def __init__(self, margin: Margin, num_classes: int, held: int) -> None:
        super().__init__()
        for name, value in margin.keeps(num_classes).items():
            self.register_buffer(name, value)
        self.per_class = tuple(margin.learns)
        for name in self.per_class:
            self.register_parameter(name, nn.Parameter(torch.empty(held)))
        if margin.shared_bias is not None:
            self.bias = nn.Parameter(torch.empty(()))
        alike = {} if margin.shared_bias is None else {"bias": margin.shared_bias}
        self._begin = dict(margin.learns) | alike, {name: value.clone() for name, value in self.named_buffers()}
        self._before: dict[str, Tensor] = {}
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        learned, kept = self._begin
        for name, number in learned.items():
            getattr(self, name).fill_(number)
        for name, value in kept.items():
            getattr(self, name).copy_(value)

    def now(self, repeats: bool) -> dict[str, Tensor]:
        """All of it; for a batch that is passed a second time, as it was at the first."""
        tables = {name: getattr(self, name) for name in self.per_class}
        return tables | (self._before if repeats and self._before else dict(self.named_buffers()))

    @torch.no_grad()
    def follow(self, after: Mapping[str, Tensor]) -> None:
        """Take what is kept after a batch in the place of what was."""
        self._before = {name: value.clone() for name, value in self.named_buffers()}
        for name, value in after.items():
            getattr(self, name).copy_(value)
