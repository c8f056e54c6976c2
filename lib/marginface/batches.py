"""What a loss may know of a batch before it has its margin: norms, cosines with the own classes, and what it has kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from marginface.directions import norms, unit
from marginface.margins import Margin


@dataclass(frozen=True)
class Batch:
    """N samples that a loss meets; see `Margin.meet`. Where classes are over ranks, those of all ranks."""

    norms: Tensor  # (N,) of the embeddings, as they came from the network
    cosine: Tensor  # (N,) with the own class, without a gradient
    num_classes: int
    number: int  # batches in training before this one
    seed: int  # the head's, for what is drawn
    rank: int  # of this process where each has samples of its own; 0 where these are all there are
    kept: Mapping[str, Tensor]  # what `Margin.keeps` and `Margin.learns` name, as it was before this batch
    follows: bool  # whether what is kept is to follow this batch: in training, and not when a network is tested
    others: Callable[[Tensor], Tensor]  # L (N,) of plain cosines times a scale (): a pass over all classes
    neighbour: Callable[[], Tensor]  # (N,) the own class's cosine with the nearest other class: a pass over all classes
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

    bias: nn.Parameter | None

    def __init__(self, margin: Margin, num_classes: int, held: int) -> None:
        super().__init__()
        for name, value in margin.keeps(num_classes).items():
            self.register_buffer(name, value)
        self.per_class = tuple(margin.learns)
        for name in self.per_class:
            self.register_parameter(name, nn.Parameter(torch.empty(held)))
        if "bias" in self.per_class:
            raise ValueError(
                f"{type(margin).__name__}: what it learns for each class cannot be called 'bias', as what all share is"
            )
        bias = margin.shared_bias(num_classes)
        self.register_parameter("bias", None if bias is None else nn.Parameter(torch.empty(())))
        alike = {} if bias is None else {"bias": bias}
        self._begin = dict(margin.learns) | alike, partial(margin.keeps, num_classes)  # not tensors: those may be on "meta"
        self._before: dict[str, Tensor] = {}
        self.batches = 0  # in training, so far
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        learned, keeps = self._begin
        for name, number in learned.items():
            getattr(self, name).fill_(number)
        for name, value in keeps().items():
            getattr(self, name).copy_(value)
        self.batches = 0

    @torch.no_grad()
    def take(self, other: "Kept", change: Callable[[Tensor], Tensor]) -> None:
        """What another head's has; `change` makes of its rows for each class this one's."""
        self.batches = other.batches
        for name, value in [*other.named_buffers(), *other.named_parameters()]:
            getattr(self, name).copy_(change(value) if name in self.per_class else value)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As of any module, but averages stay in single precision: in half, small steps towards a batch would be lost."""
        before = dict(self.named_buffers())
        super()._apply(fn, recurse)
        for name, value in self.named_buffers():
            if value.is_floating_point() and value.itemsize < 4:
                setattr(self, name, before[name].to(value.device))
        return self

    def get_extra_state(self) -> dict[str, int]:
        return {"batches": self.batches}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.batches = state["batches"]

    def meet(
        self, margin: Margin, embeddings: Tensor, moves: bool, repeats: bool, *, cosine: Callable[[], Tensor], **others: Any
    ) -> Margin:
        """The margin as it is for a batch. What is kept follows where state `moves`; a batch that `repeats` finds it as it was.

        Arguments: embeddings (N, d) as they came from the network; cosine, and the rest, as in `Batch`.
        """
        if (moves or repeats) and torch.compiler.is_compiling():  # batches are counted, and a count is a constant there
            return torch.compiler.disable(Kept._meet)(self, margin, embeddings, moves, repeats, cosine, others)
        return self._meet(margin, embeddings, moves, repeats, cosine, others)

    def _meet(
        self,
        margin: Margin,
        embeddings: Tensor,
        moves: bool,
        repeats: bool,
        cosine: Callable[[], Tensor],
        others: dict[str, Any],
    ) -> Margin:
        tables = {name: getattr(self, name) for name in self.per_class}
        now = self._before if repeats and self._before else self._now()
        with torch.no_grad():
            near = cosine()
        batch = Batch(
            norms(embeddings), near, number=self.batches - repeats, kept=tables | now, follows=moves or repeats, **others
        )
        met, after = margin.meet(batch)
        if moves:
            self._follow(after)
        return met

    def unmet(self, margin: Margin, num_classes: int) -> Margin:
        """The margin as it is for plain logits."""
        return margin.unmet(self._now(), num_classes, self.batches)

    def _now(self) -> dict[str, Tensor]:
        """What is kept, in copies: a backward pass may want them when a later batch has moved it."""
        return {name: value.clone() for name, value in self.named_buffers()}

    @torch.no_grad()
    def _follow(self, after: Mapping[str, Tensor]) -> None:
        """What is not finite would never leave an average again, and is left out of it."""
        self._before = self._now()
        for name, value in after.items():
            before = getattr(self, name)
            value = value.to(before)
            before.copy_(torch.where(value.isfinite(), value, before))
        self.batches += 1


def nearest(x: Tensor, weights: Tensor) -> Tensor:
    """The cosine (N,) of directions (N, d) with weights (N, d), or with the nearest of (N, K, d)."""
    cosines = (x.unsqueeze(1) * unit(weights if weights.dim() == 3 else weights.unsqueeze(1))).sum(dim=2)
    return cosines.max(dim=1).values
