"""PAM: the margin between the classes that lie nearest to each other, and the search that finds them.

A class is a cap on the sphere: its centre is the class weight, its edge the angle θ_i with cos θ_i = R(i). Between the caps
of two classes, whose centres are θ apart, lies the real margin θ_ij = θ - θ_i - θ_j, negative where they overlap. The search
looks at all pairs of classes, a block of them at a time, and never holds more than a few blocks.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from marginface.angles import angle, sine
from marginface.directions import full_precision, norms
from marginface.ranks import Ranks, within
from marginface.regularizers import Stateful, Terms
from marginface.settings import NOT_NEGATIVE, Range, check_number


class PAM(Stateful):
    """The precise adjacent margin loss (PAM Eq. 5-10): weight · L_P.

    In training, every batch first updates the class ranges from the batch, then penalises the pairs of classes whose margins
    are narrowest. The gradient goes to the class weights of those pairs; the ranges are statistics and have none.

    Arguments:
        weight: λ of Eq. 5.
        version: 1, the P narrowest of all pairs (Eq. 6); or 2, the two narrowest of each class (Eq. 7).
        shrink_rate: β of Eq. 9, in [0, 1].
        start_step: λ is 0 in so many steps (of the head's), in which the ranges settle. The paper waits for 275
            of its 361 epochs.
        include_self: whether a class is one of its own neighbours, as Eq. 7 has it. It then nearly always is, adds a
            constant, and leaves one real neighbour. Version 2 only.
        repeats: what a class does that occurs more than once in a batch. Eq. 8 as printed adds up the changes ("sum"),
            which can take R out of [-1, 1], where it is cut off. "lowest", the default, takes the change of the sample
            farthest from the centre, because that is what a range is; it stays in [-1, 1] for any batch in any order.
            "mean" takes the mean change.
        block_size: how many classes are compared with how many at a time; None is 512 on a CPU and 4096 on a GPU.
    """

    per_class = ("R",)
    R: Tensor  # (C,) cosine between the centre and the edge of each class; empty before `bind`

    def __init__(
        self,
        weight: float,
        version: Literal[1, 2] = 1,
        shrink_rate: float = 0.01,
        start_step: int = 0,
        include_self: bool = False,
        repeats: Literal["lowest", "sum", "mean"] = "lowest",
        block_size: int | None = None,
    ) -> None:
        super().__init__(weight)
        if version not in (1, 2):
            raise ValueError(f"PAM: version={version!r} must be 1 or 2")
        check_number("PAM: shrink_rate", shrink_rate, Range(0, 1))
        check_number("PAM: start_step", start_step, NOT_NEGATIVE)
        if include_self and version == 1:
            raise ValueError("PAM: include_self=True has no meaning in version 1, whose pairs are of different classes")
        if repeats not in ("lowest", "sum", "mean"):
            raise ValueError(f"PAM: repeats={repeats!r} must be 'lowest', 'sum' or 'mean'")
        if block_size is not None and block_size < 1:
            raise ValueError(f"PAM: block_size={block_size!r} must be at least 1")
        self.version, self.shrink_rate, self.start_step = version, shrink_rate, start_step
        self.include_self, self.repeats, self.block_size = include_self, repeats, block_size
        self.register_buffer("R", torch.empty(0))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        state_dict.pop(f"{prefix}step", None)  # of checkpoints from before the head counted alone
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def bind(self, embedding_dim: int, num_classes: int, held: int | None = None) -> None:
        """Start with the range of every class at 1, a cap of no size. Raises ValueError where it has another number."""
        if num_classes < 2:
            raise ValueError(f"num_classes={num_classes} must be at least 2")
        rows = num_classes if held is None else held
        if len(self.R) not in (0, rows):
            raise ValueError(f"num_classes={rows}, but this PAM already has the ranges of {len(self.R)} classes")
        if len(self.R) == 0:
            self.R = self.R.new_ones(rows)

    def reset_parameters(self) -> None:
        """Put the range of every class back to 1."""
        nn.init.ones_(self.R)

    def forward(self, terms: Terms) -> Tensor:
        if self.training and terms.moves:
            self._follow(*terms.gather(terms.cosine.detach(), terms.labels - terms.first))
        active = terms.steps() >= self.start_step
        return self.weight * self.penalty(terms.class_weights, terms.ranks) if active else terms.target.new_zeros(())

    def update(self, cosines: Tensor, labels: Tensor) -> None:
        """Follow the ranges of the classes in a batch (PAM Eq. 8-9): at once where they grow, slowly where they shrink.

        Arguments:
            cosines: (N,) float, cos between each sample and the weight of its own class.
            labels: (N,) int64 in [0, C).
        Raises: ValueError naming what is wrong with either, or where the number of classes is not known yet.
        """
        if len(self.R) == 0:
            raise ValueError("this PAM does not know its classes yet: give it to a MarginHead, or call bind")
        if cosines.dim() != 1 or not torch.isfinite(cosines).all():
            raise ValueError(f"cosines must have shape (N,) and be finite; their shape is {tuple(cosines.shape)}")
        if labels.shape != cosines.shape or labels.dtype != torch.int64:
            raise ValueError(f"labels must be int64 ({len(cosines)},), not {labels.dtype} {tuple(labels.shape)}")
        if len(labels) > 0 and not 0 <= int(labels.min()) <= int(labels.max()) < len(self.R):
            raise ValueError(f"labels must lie in [0, {len(self.R)}), not in [{int(labels.min())}, {int(labels.max())}]")
        self._follow(cosines, labels)

    @torch.no_grad()
    def _follow(self, cosines: Tensor, place: Tensor) -> None:
        inside, _ = within(place, len(self.R))
        place = place.masked_fill(~inside, len(self.R))  # a row beyond them, for classes that are elsewhere
        before = torch.cat([self.R, self.R.new_zeros(1)])
        change = cosines.clamp(-1, 1).to(self.R.dtype) - before[place]
        change = torch.where(change < 0, change, self.shrink_rate * change)
        how = {"lowest": "amin", "sum": "sum", "mean": "mean"}[self.repeats]  # the change rises with the cosine
        self.R += torch.zeros_like(before).scatter_reduce_(0, place, change, how, include_self=False)[:-1]
        self.R.clamp_(-1, 1)

    def penalty(self, class_weights: Tensor, ranks: Ranks | None = None) -> Tensor:
        """L_P, before λ (PAM Eq. 6 or 7).

        Where there are fewer pairs than the equation asks for (C = 2), the sum is over those there are.

        Arguments:
            class_weights: (C, d) float of any lengths, C at least 2.
            ranks: the processes that the classes are over, where `class_weights` are those of this one.
        Returns: () float32, or float64 for float64 weights.
        Raises: ValueError naming what is wrong with them.
        """
        if class_weights.dim() != 2 or (ranks is None and len(class_weights) < 2) or not class_weights.is_floating_point():
            kind = f"{class_weights.dtype} {tuple(class_weights.shape)}"
            raise ValueError(f"class_weights must be floating point (C, d) with C at least 2, not {kind}")
        W = class_weights if class_weights.dtype == torch.float64 else class_weights.float()
        if len(self.R) == 0:
            self.R = self.R.to(W)
        self.bind(W.shape[1], max(2, len(W)), len(W))
        if self.R.device != W.device:
            raise ValueError(f"class_weights are on {W.device}, the class ranges on {self.R.device}")
        from marginface.adjacent_sharded import penalty_over

        P, R, size = len(W), self.R.to(W.dtype), self.block_size or (512 if W.device.type == "cpu" else 4096)
        with full_precision(W):
            if ranks is not None:
                return penalty_over(ranks, W, R, self.version, self.include_self, size)
            if self.version == 1:
                i, j = narrowest_pairs(W, R, size)
            else:
                i, j = nearest_neighbours(W, R, self.include_self, size)
            return phi(_pair_cosines(W, i, j), R[i], R[j]).sum() / (P * self.version)

    def extra_repr(self) -> str:
        return (
            f"weight={self.weight}, version={self.version}, shrink_rate={self.shrink_rate}, start_step={self.start_step}, "
            f"include_self={self.include_self}, repeats={self.repeats!r}"
        )


def phi(cosine: Tensor, Ri: Tensor, Rj: Tensor) -> Tensor:
    """φ of PAM Eq. 6: cos θ_ij where θ_ij > 0, else 2 - cos θ_ij. Between -1 and 3; 1 where two classes touch.

    cos θ_ij = cos θ cos(θ_i + θ_j) + sin θ sin(θ_i + θ_j), which is what Eq. 10 should say.

    Arguments:
        cosine: cos θ, between the centres of the two classes; any shape.
        Ri, Rj: their ranges, cos θ_i and cos θ_j; the same shape.
    """
    Si, Sj = sine(Ri), sine(Rj)
    cos_sum, sin_sum = Ri * Rj - Si * Sj, Si * Rj + Ri * Sj
    margin = cosine * cos_sum + sine(cosine) * sin_sum
    overlap = (cosine >= cos_sum) | (Ri + Rj <= 0)  # θ <= θ_i + θ_j, also where that is more than π
    return torch.where(overlap, 2 - margin, margin)


@torch.no_grad()
def narrowest_pairs(W: Tensor, R: Tensor, block_size: int = 512) -> tuple[Tensor, Tensor]:
    """The P of all pairs i > j with the largest φ, in no order; all pairs where there are no more than P.

    Arguments:
        W: (P, d) class weights of any lengths.
        R: (P,) class ranges, of the same dtype.
    Returns: i and j, (min(P, P(P-1)/2),) int64.
    """
    P, theta, inverse = len(W), angle(R), _inverse_norms(W)
    floor = W.new_tensor(-math.inf)  # the smallest φ that still counts
    found: list[tuple[Tensor, Tensor, Tensor]] = []  # φ, i and j of pairs that may be among the P
    waiting = 0
    for rows in _blocks(P, block_size):
        unit = W[rows] * inverse[rows, None]
        for columns in _blocks(rows.stop, block_size):
            cosines = unit @ (W[columns] * inverse[columns, None]).T
            a, b = _near(cosines, _reach(floor) + theta[rows], theta[columns])
            value, i, j = phi(cosines[a, b].clamp(-1, 1), R[rows][a], R[columns][b]), a + rows.start, b + columns.start
            better = (value > floor) & (i > j)
            found.append((value[better], i[better], j[better]))
            waiting += len(found[-1][0])
            if waiting > P or rows.stop == columns.stop == P:
                value, i, j = (torch.cat(parts) for parts in zip(*found, strict=True))
                value, best = value.topk(min(P, len(value)))
                found, waiting = [(value, i[best], j[best])], 0
                floor = value[-1] if len(value) == P else floor
    return found[0][1], found[0][2]


@torch.no_grad()
def nearest_neighbours(W: Tensor, R: Tensor, include_self: bool = False, block_size: int = 512) -> tuple[Tensor, Tensor]:
    """For each class i the two classes j with the largest φ, or the one there is.

    Arguments:
        W: (P, d) class weights of any lengths.
        R: (P,) class ranges, of the same dtype.
        include_self: whether j = i counts.
    Returns: i and j, (2P,) int64, in the order of i; (P,) where P = 2 and not `include_self`.
    """
    P, theta, inverse = len(W), angle(R), _inverse_norms(W)
    neighbours = []
    for rows in _blocks(P, block_size):
        unit = W[rows] * inverse[rows, None]
        value = W.new_full((len(unit), 2), -math.inf)
        index = torch.full((len(unit), 2), -1, device=W.device)
        for columns in _blocks(P, block_size, min(64, block_size)):  # a few suffice for a floor under what all others must beat
            cosines = unit @ (W[columns] * inverse[columns, None]).T
            a, b = _near(cosines, _reach(value[:, 1]) + theta[rows], theta[columns])
            own = a + rows.start == b + columns.start
            if not include_self:
                a, b, own = a[~own], b[~own], own[~own]
            if len(a) > 0:
                cosine = torch.where(own, 1.0, cosines[a, b].clamp(-1, 1))
                value, index = _best_two(value, index, a, phi(cosine, R[rows][a], R[columns][b]), b + columns.start)
        neighbours.append(index)
    j = torch.cat(neighbours)
    i = torch.arange(P, device=W.device)[:, None].expand(P, 2)
    return i[j >= 0], j[j >= 0]


def _best_two(value: Tensor, index: Tensor, row: Tensor, candidates: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
    """The two largest of each row's (n, 2) values and of the candidates that `row`, in ascending order, assigns to it."""
    count = row.bincount(minlength=len(value))
    place = 2 + torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    values = value.new_full((len(value), 2 + int(count.max())), -math.inf)
    indices = index.new_full(values.shape, -1)
    values[:, :2], indices[:, :2] = value, index
    values[row, place], indices[row, place] = candidates, j
    value, best = values.topk(2, dim=1)
    return value, indices.gather(1, best)


def _reach(floor: Tensor) -> Tensor:
    """The largest margin θ_ij at which φ can still be as large as `floor`."""
    floor = floor.clamp(-1, 3)
    return torch.where(floor <= 1, torch.arccos(floor.clamp(max=1)), -torch.arccos(2 - floor.clamp(min=1)))


def _near(cosines: Tensor, reach: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Indices a, b of the pairs with θ <= reach_a + θ_b, decided in cosines and with room for rounding; a ascends.

    Shapes (n, m), (n,), (m,). Rows are tried as a whole first: once the search is under way, few have any.
    """
    missing = (reach[:, None] + theta).clamp_(0, math.pi).cos_().sub_(cosines)
    room = 128 * torch.finfo(cosines.dtype).eps
    rows = (missing.amin(dim=1) <= room).nonzero()[:, 0]
    a, b = (missing[rows] <= room).nonzero(as_tuple=True)
    return rows[a], b


def _blocks(total: int, size: int, first: int = 0) -> list[slice]:
    """The whole range, in slices of `size`; the first of them may be another size."""
    starts = [0, *range(first or size, total, size)]
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], total], strict=True)]


def _inverse_norms(W: Tensor) -> Tensor:
    """(P,) 1 / ‖w‖; 0 for a weight without a direction, which thereby is at right angles to all others."""
    lengths = norms(W)
    if not torch.isfinite(lengths).all():
        raise ValueError("class_weights hold NaN, infinity, or a row too long for its dtype")
    return torch.where(lengths > 0, 1 / lengths, 0.0)


class _PairCosines(torch.autograd.Function):
    """Cosines between chosen rows of a matrix, without a copy of the rows for every pair."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, i: Tensor, j: Tensor) -> Tensor:
        inverse = _inverse_norms(W)
        U = W * inverse[:, None]
        chunks = [(U[a] * U[b]).sum(dim=1) for a, b in zip(i.split(8192), j.split(8192), strict=True)]
        cosines = torch.where(i == j, 1.0, torch.cat(chunks).clamp(-1, 1))
        ctx.save_for_backward(W, i, j, inverse, cosines)
        return cosines

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """With unit vectors u, d cos / d w_i = (u_j - cos · u_i) / ‖w_i‖: one sparse product, less multiples of the rows."""
        W, i, j, inverse, cosines = ctx.saved_tensors
        with full_precision(W):  # whoever calls it within autocast
            U = W * inverse[:, None]
            ends = torch.stack([torch.cat([i, j]), torch.cat([j, i])])
            along = W.new_zeros(len(W)).index_add_(0, ends[0], (gradient * cosines).repeat(2))
            across = torch.sparse_coo_tensor(ends, gradient.repeat(2), (len(W), len(W)), check_invariants=False)
            return torch.sparse.mm(across, U).addcmul_(U, along[:, None], value=-1).mul_(inverse[:, None]), None, None


def _pair_cosines(W: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """(n,) cosines between rows i and j of W (P, d)."""
    return _PairCosines.apply(W, i, j)
