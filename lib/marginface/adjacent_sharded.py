"""PAM's search and its penalty with the classes over ranks.

Every rank's class weights go round, a block at a time, and each rank compares them with its own: twice, once to find the pairs
that count and once for their cosines. No rank ever holds more of the others' weights than a block.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from marginface.adjacent import _best_two, _blocks, _inverse_norms, _near, _reach, phi
from marginface.angles import angle
from marginface.ranks import Ranks

Pairs = tuple[Tensor, Tensor]  # i and j, (n,) int64 each, of all classes
Found = tuple[Tensor, Tensor, Tensor]  # φ of pairs, (n,) float, and i and j


def penalty_over(ranks: Ranks, W: Tensor, R: Tensor, version: int, include_self: bool = False, block_size: int = 512) -> Tensor:
    """L_P of PAM Eq. 6 or 7, the same on every rank; as `PAM.penalty` gives it for the rows of all ranks.

    Arguments:
        W: (C_r, d) float, the class weights of this rank, of any lengths.
        R: (C_r,) their ranges, of the same dtype.
    """
    sizes = [size for (size,) in ranks.agree(None, len(W))]
    with ranks.together():
        round_ = Round(ranks, W, R, sizes, block_size)
        pairs = narrowest_pairs_over(round_) if version == 1 else nearest_neighbours_over(round_, include_self)
        return _Penalty.apply(W, round_, pairs) / (sum(sizes) * version)


class Round:
    """The blocks of class weights as they go round: directions and ranges of rows, and which rows they are."""

    def __init__(self, ranks: Ranks, W: Tensor, R: Tensor, sizes: list[int], block_size: int) -> None:
        self.ranks, self.sizes, self.size = ranks, sizes, block_size
        with torch.no_grad():
            self.inverse = _inverse_norms(W) if len(W) else W.new_empty(0)
            self.unit, self.R = W * self.inverse[:, None], R
        self.first, self.P = sum(sizes[: ranks.rank]), sum(sizes)

    def blocks(self, first_size: int = 0) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """For each block of all classes: its number, its first class, directions (n, d) and ranges (n,)."""
        number, start = 0, 0
        for source, size in enumerate(self.sizes):
            for part in _blocks(size, self.size, first_size if start == 0 else 0) if size else []:
                own = source == self.ranks.rank
                rows = self.unit.new_empty(part.stop - part.start, self.unit.shape[1] + 1)
                if own:
                    rows[:, :-1], rows[:, -1] = self.unit[part], self.R[part]
                self.ranks.broadcast(rows, source)
                yield number, start + part.start, rows[:, :-1], rows[:, -1]
                number += 1
            start += size

    def own_blocks(self) -> list[tuple[int, slice]]:
        """The blocks of this rank's rows, with their numbers."""
        before = sum(-(-size // self.size) for size in self.sizes[: self.ranks.rank])
        own = _blocks(len(self.unit), self.size) if len(self.unit) else []
        return [(before + number, part) for number, part in enumerate(own)]


@torch.no_grad()
def narrowest_pairs_over(round_: Round) -> Pairs:
    """The P of all pairs with the largest φ, on every rank the same; all pairs where there are no more than P.

    Two blocks are compared by one of the ranks whose they are, in turn.
    """
    unit, R, theta, P, ranks = round_.unit, round_.R, angle(round_.R), round_.P, round_.ranks
    floor = unit.new_tensor(-math.inf)  # the smallest φ that still counts
    nobody = torch.empty(0, dtype=torch.int64, device=unit.device)
    found: list[Found] = [(unit.new_empty(0), nobody, nobody)]
    waiting = 0
    for number, start, columns, R_columns in round_.blocks():
        theta_columns = angle(R_columns)
        for own_number, rows in round_.own_blocks():
            if own_number != number and (own_number > number) != ((own_number + number) % 2 == 0):
                continue
            cosines = unit[rows] @ columns.T
            a, b = _near(cosines, _reach(floor) + theta[rows], theta_columns)
            value = phi(cosines[a, b].clamp(-1, 1), R[rows][a], R_columns[b])
            i, j = a + rows.start + round_.first, b + start
            better = (value > floor) & ((i > j) | (own_number != number))
            found.append((value[better], i[better], j[better]))
            waiting += len(found[-1][0])
            if waiting > P:
                found, waiting = [_largest(found, P)], 0
                floor = torch.maximum(floor, found[0][0].min())
        ranks.max(floor)
    value, i, j = _largest(found, P)
    counts = [count for (count,) in ranks.agree(None, len(value))]
    _, i, j = _largest([(ranks.gather(value, counts), ranks.gather(i, counts), ranks.gather(j, counts))], P)
    return i, j


def _largest(found: list[Found], count: int) -> Found:
    value, i, j = (torch.cat(parts) for parts in zip(*found, strict=True))
    value, best = value.topk(min(count, len(value)))
    return value, i[best], j[best]


@torch.no_grad()
def nearest_neighbours_over(round_: Round, include_self: bool) -> Pairs:
    """For each class i of any rank the two classes j with the largest φ, or the one there is; on every rank the same."""
    unit, R, theta, ranks = round_.unit, round_.R, angle(round_.R), round_.ranks
    value = unit.new_full((len(unit), 2), -math.inf)
    index = torch.full((len(unit), 2), -1, device=unit.device)
    for _, start, columns, R_columns in round_.blocks(min(64, round_.size)):  # a few suffice for a floor under the others
        for _, rows in round_.own_blocks():
            cosines = unit[rows] @ columns.T
            a, b = _near(cosines, _reach(value[rows, 1]) + theta[rows], angle(R_columns))
            own = a + rows.start + round_.first == b + start
            if not include_self:
                a, b, own = a[~own], b[~own], own[~own]
            if len(a) > 0:
                candidates = phi(torch.where(own, 1.0, cosines[a, b].clamp(-1, 1)), R[rows][a], R_columns[b])
                value[rows], index[rows] = _best_two(value[rows], index[rows], a, candidates, b + start)
    everyone = ranks.gather(index, round_.sizes)
    i = torch.arange(round_.P, device=unit.device)[:, None].expand(-1, 2)
    return i[everyone >= 0], everyone[everyone >= 0]


class _Penalty(torch.autograd.Function):
    """Σ φ over pairs, and its gradient for this rank's class weights, both found in one round."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, round_: Round, pairs: Pairs) -> Tensor:
        unit, R, ranks = round_.unit, round_.R, round_.ranks
        # every pair from either end: what it adds to the sum counts at i, and each end has its part of the gradient
        end, other = torch.cat(pairs), torch.cat(pairs[::-1])
        at_i = torch.arange(len(end), device=end.device) < len(pairs[0])
        here = (end >= round_.first) & (end < round_.first + len(unit))
        end, other, at_i = end[here] - round_.first, other[here], at_i[here]
        order = other.argsort()
        end, other, at_i = end[order], other[order], at_i[order]
        total, gradient = unit.new_zeros(()), torch.zeros_like(unit)
        for _, start, columns, R_columns in round_.blocks():
            low, high = (
                int(n) for n in torch.searchsorted(other, torch.tensor([start, start + len(columns)], device=end.device))
            )
            for at in range(low, high, 8192):
                part = slice(at, min(at + 8192, high))
                a, b = end[part], other[part] - start
                u, v = unit[a], columns[b]
                same = a + round_.first == other[part]
                cosine = torch.where(same, 1.0, (u * v).sum(dim=1).clamp(-1, 1))
                with torch.enable_grad():
                    leaf = cosine.requires_grad_()
                    value = phi(leaf, R[a], R_columns[b])
                    (slope,) = torch.autograd.grad(value.sum(), leaf)
                total += value.detach()[at_i[part]].sum()
                cosine = cosine.detach()
                gradient.index_add_(0, a, slope[:, None] * (v - cosine[:, None] * u))
        ctx.save_for_backward(gradient.mul_(round_.inverse[:, None]))
        return ranks.sum(total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (own,) = ctx.saved_tensors
        return gradient * own, None, None
