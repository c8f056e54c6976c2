"""A pass over all classes before the one that trains, for a loss that has to know them before it has its margin."""

from typing import Any

import torch
from torch import Tensor

from marginface import chunks
from marginface.batches import Scaled
from marginface.directions import unit
from marginface.ranks import Ranks
from marginface.sums import SUMS

PLAIN = Scaled()  # cosines as they are


class FirstPass:
    """All classes as a loss meets them that has to know them before it has its margin, without a gradient.

    What was found the pass that trains, over as many classes at a time, need not compute again: one over the norms of the class
    weights and, where there is room for all that it keeps, the cosines. It makes derivatives of them in their place. Of K
    weights a class there are norms alone.

    Arguments: as of `reduction.own_and_others`; x of any length.
    """

    def __init__(
        self, x: Tensor, weight: Tensor, labels: Tensor, chunk_size: int | None, keep_bytes: int, ranks: Ranks | None = None
    ) -> None:
        self.x, self.weight, self.labels, self.ranks = x, weight, labels, ranks
        self.chunk = max(1, min(chunk_size or len(weight), len(weight)))
        self.keep_bytes = keep_bytes if ranks is not None or self.chunk < len(weight) else 0  # of the whole all is autograd's
        self.inverse: Tensor | None = None  # (C,) or (C, K)
        self.cosines: Tensor | None = None  # (chunks, N, classes of a chunk)

    def others(self, scale: Tensor) -> Tensor:
        """L (N,) of cosines times a scale ()."""
        fits = chunks.fits(self.x, self.weight, self.chunk, self.keep_bytes) if self.weight.dim() == 2 else 0
        with torch.no_grad():
            found, self.inverse, self.cosines = _First.apply(
                unit(self.x), self.weight, self.labels, scale, self.chunk, fits, self.ranks
            )
        return found

    @torch.no_grad()
    def neighbour(self) -> Tensor:
        """The cosine (N,) of each sample's class with the nearest other; -∞ where there is no other."""
        self.inverse = chunks.inverses(self.weight, PLAIN, self.chunk)
        own = self.weight[self.labels] if self.ranks is None else self.ranks.own(self.weight, self.labels)
        own, found = unit(own), self.x.new_full((len(self.x),), -torch.inf)
        for part in chunks.parts(len(self.weight), self.chunk):
            cosine = chunks.without_own(chunks.product(own, self.weight[part], self.inverse[part]), self.labels, part)
            found = torch.maximum(found, cosine.amax(dim=1))
        return found if self.ranks is None else self.ranks.max(found)

    def take(self, fits: int) -> tuple[Tensor | None, Tensor | None]:
        """One over the norms, and the cosines of as many chunks, once: each if it is there."""
        cosines, self.cosines = self.cosines, None
        return self.inverse, cosines[:fits] if cosines is not None and 0 < fits <= len(cosines) else None


class _First(chunks.GradientOnly):
    """L of plain cosines times a scale, one over the norms, and the cosines that fit."""

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, labels: Tensor, scale: Tensor, chunk: int, fits: int, ranks: Ranks | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        margin, sums, inverse = Scaled(scale), SUMS[PLAIN.sums], chunks.inverses(weight, PLAIN, chunk)
        cosines, others = x.new_empty(fits, len(x), chunk), x.new_full((len(x),), sums.nothing)
        for number, part in enumerate(chunks.parts(len(weight), chunk)):
            room = cosines[number, :, : part.stop - part.start] if number < fits else None
            cosine, _ = chunks.cosines(x, weight[part], inverse[part], out=room)
            others, *_ = sums.add(others, chunks.logits(cosine, labels, part, margin, None, in_place=room is None))
        return others if ranks is None else sums.joined(ranks, others), inverse, cosines

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output)
