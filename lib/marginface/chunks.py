"""A chunk of classes: how long its weights are, the products with it, what a margin makes of them, and the way back."""

from collections.abc import Iterator
from typing import Any, NoReturn

import torch
from torch import Tensor

from marginface.directions import nonzero, norms
from marginface.margins import Margin

MOST_CENTRES = 256  # of a class, for which the nearest is kept in a byte
MISSING = "over chunks of classes there are no {}: they need chunk_size=None, or head.logits"


class GradientOnly(torch.autograd.Function):
    """An operation that says so where it is asked for more than a gradient."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> NoReturn:
        """Raises: NotImplementedError."""
        raise NotImplementedError(MISSING.format("forward-mode derivatives"))

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> NoReturn:
        """Raises: NotImplementedError."""
        raise NotImplementedError(MISSING.format("vmap"))


def parts(classes: int, chunk: int) -> Iterator[slice]:
    """Which classes are in each chunk."""
    for start in range(0, classes, chunk):
        yield slice(start, min(start + chunk, classes))


def fits(x: Tensor, weight: Tensor, chunk: int, keep_bytes: int) -> int:
    """How many chunks of N × chunk values there is room for, and, of K weights a class, of which was the nearest."""
    centres = weight.shape[1] if weight.dim() == 3 else 1
    if centres > MOST_CENTRES:
        return 0
    each = x.element_size() + (centres > 1)
    return min(-(-len(weight) // chunk), keep_bytes // (each * len(x) * chunk))


def inverse(weight: Tensor, margin: Margin) -> Tensor:
    """What makes the rows of a chunk as long as the margin wants them; finite, and 1 for a row of zeros."""
    if margin.keeps_weight_norm:
        return torch.ones_like(weight[..., 0])
    return 1 / nonzero(norms(weight))


def inverses(weight: Tensor, margin: Margin, chunk: int) -> Tensor:
    """The same of all rows."""
    return torch.cat([inverse(weight[part], margin) for part in parts(len(weight), chunk)] or [weight.new_empty(0)])


def product(x: Tensor, weight: Tensor, inverse: Tensor, out: Tensor | None = None) -> Tensor:
    """Of every row with every class of a chunk."""
    return torch.mm(x, weight.T, out=out).mul_(inverse)


def cosines(x: Tensor, weight: Tensor, inverse: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Of every row with every class of a chunk, and, of K weights a class, which was the nearest."""
    if weight.dim() == 2:
        return product(x, weight, inverse, out), None
    return product(x, weight.flatten(0, 1), inverse.flatten()).unflatten(1, weight.shape[:2]).max(dim=2)


def of_nearest(values: Tensor, nearest: Tensor, centres: int) -> Tensor:
    """(N, chunk · K): the value of each class at the nearest of its K weights, and 0 at the others."""
    every = values.new_zeros(*values.shape, centres)
    return every.scatter_(2, nearest.long()[:, :, None], values[:, :, None]).flatten(1)


def centres(own_weight: Tensor, weight: Tensor, inverse: Tensor, margin: Margin) -> Tensor | None:
    """The cosines between each sample's class and every class of a chunk, where the margin wants them."""
    return product(own_weight, weight, inverse) if margin.needs_centres else None


def changed(
    margin: Margin, cosine: Tensor, own: Tensor, centre: Tensor | None, differentiable: bool
) -> tuple[Tensor, list[Tensor | None]]:
    """U of a chunk; if differentiable, with a graph from the cosines of samples, own classes and centres, which come second.

    Where U is the identity there is no graph, and the cosines themselves are what comes back.
    """
    if not margin.changes_others:
        return cosine, []
    if not differentiable:
        return margin.others(cosine, margin.shift(own, centre)), []
    with torch.enable_grad():
        leaf = cosine.detach().requires_grad_()
        if margin.detach:
            return margin.others(leaf, margin.shift(own, centre)), [leaf, None, None]
        own = own.detach().requires_grad_()
        centre = None if centre is None else centre.detach().requires_grad_()
        return margin.others(leaf, margin.shift(own, centre)), [leaf, own, centre]


def logits(changed: Tensor, labels: Tensor, part: slice, margin: Margin, bias: Tensor | None, in_place: bool) -> Tensor:
    """s · U + b for a chunk of classes, with -∞ at each sample's own class."""
    scaled = changed.mul_(margin.factor) if in_place else changed.detach() * margin.factor
    if bias is not None:
        scaled += bias[part]
    return without_own(scaled, labels, part)


def without_own(values: Tensor, labels: Tensor, part: slice) -> Tensor:
    """Of a chunk of classes, in place, -∞ at each sample's own class."""
    place = (labels - part.start)[:, None]
    inside = (place >= 0) & (place < values.shape[1])
    place = place.clamp(0, values.shape[1] - 1)
    return values.scatter_(1, place, values.gather(1, place).masked_fill_(inside, -torch.inf))


def pull_back(changed: Tensor, inputs: list[Tensor | None], grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradient of U's three arguments, from that of U."""
    if not inputs:
        return grad, None, None
    found = iter(torch.autograd.grad(changed, [t for t in inputs if t is not None], grad, allow_unused=True))
    own_cosine, *others = [None if t is None else next(found) for t in inputs]
    return torch.zeros_like(grad) if own_cosine is None else own_cosine, *others  # type: ignore[return-value]
