"""The one heavy operation of every loss here: what a sample scores on all the classes that are not its own.

It runs over chunks of classes and holds N × chunk values at a time. The backward pass computes again those products that
there was no room to keep, and asks autograd for the derivative of U, so that a margin states T and U and nothing else.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from marginface.margins import Margin


def own_and_others(
    x: Tensor,
    weight: Tensor,
    labels: Tensor,
    margin: Margin,
    bias: Tensor | None = None,
    chunk_size: int | None = None,
    keep_bytes: int = 0,
) -> tuple[Tensor, Tensor]:
    """The product with the own class, and L = log Σ_{j≠y} exp(s · U(x·w_j) + b_j) over the others.

    Class weights are divided by their norms here, chunk by chunk, unless the margin keeps them.

    Arguments:
        x: (N, d) float, of unit length unless the margin keeps its norm.
        weight: (C, d) float, as it is learned.
        labels: (N,) int64.
        margin: gives s and U.
        bias: (C,) float, added to the logits.
        chunk_size: how many classes to hold at a time; None is all of them, and keeps their products.
        keep_bytes: how much memory may keep products for the backward pass, which computes the others again.
    Returns: x·w_y (N,) and L (N,), both of the dtype of x; L is -∞ where there is no other class.
    """
    return _OwnAndOthers.apply(x, weight, labels, bias, margin, chunk_size, keep_bytes)


class _OwnAndOthers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        labels: Tensor,
        bias: Tensor | None,
        margin: Margin,
        chunk_size: int | None,
        keep_bytes: int,
    ) -> tuple[Tensor, Tensor]:
        chunk = chunk_size or len(weight)
        inverse = torch.ones_like(weight[:, 0]) if margin.keeps_weight_norm else 1 / nonzero_norm(weight)
        own_weight = weight[labels] * inverse[labels, None]
        own = (x * own_weight).sum(dim=1)
        others = torch.full_like(own, -torch.inf)
        cosines, shifts = _room(x, len(weight), chunk_size, keep_bytes, margin) if any(ctx.needs_input_grad) else (0, 0)
        # one block of memory, because many kept tensors between short-lived ones would leave holes
        room = x.new_empty(cosines + shifts, len(x), chunk if chunk_size else 0)
        kept: list[tuple[Tensor | None, Tensor | None]] = []
        for number, part in enumerate(_parts(len(weight), chunk)):
            cosine = _product(x, weight[part], inverse[part])
            shift = margin.shift(own[:, None], _centres(own_weight, weight[part], inverse[part], margin))
            logits = _logits(margin.others(cosine, shift), labels, part, margin, bias)
            others = torch.logaddexp(others, logits.logsumexp(dim=1))
            kept_cosine = _put(cosine, room[number]) if number < cosines else None
            kept_shift = _put(shift, room[cosines + number]) if shift is not None and number < shifts else None
            kept.append((kept_cosine, kept_shift))
        ctx.save_for_backward(x, weight, labels, bias, inverse, own_weight, own, others)
        ctx.margin, ctx.chunk, ctx.kept = margin, chunk, kept
        return own, others

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_own: Tensor, grad_others: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, labels, bias, inverse, own_weight, own, others = ctx.saved_tensors
        margin: Margin = ctx.margin
        grad_x, grad_weight, grad_own_weight = torch.zeros_like(x), torch.empty_like(weight), torch.zeros_like(x)
        grad_bias = None if bias is None else torch.empty_like(bias)
        finite = others.clamp_min(torch.finfo(others.dtype).min)[:, None]  # L is -∞ where there is no other class
        with torch.autocast(x.device.type, enabled=False):
            for (cosine, shift), part in zip(ctx.kept, _parts(len(weight), ctx.chunk), strict=True):
                cosine = _product(x, weight[part], inverse[part]) if cosine is None else cosine
                centre = None if shift is not None else _centres(own_weight, weight[part], inverse[part], margin)
                changed, inputs = _differentiable_others(margin, cosine, own[:, None], centre, shift)
                grad = _logits(changed.detach(), labels, part, margin, bias).sub_(finite).exp_()
                grad *= grad_others[:, None]
                if grad_bias is not None:
                    grad_bias[part] = grad.sum(dim=0)
                grad *= margin.scale or 1.0
                grad_cosine, more_own, grad_centre = _pull_back(changed, inputs, grad)
                w, n = weight[part], inverse[part]
                radial = torch.zeros_like(n)  # what moves w_j along itself, and so changes nothing but its norm
                grad_part = grad_weight[part].zero_()
                for left, grad_left, product, pulled in (
                    (x, grad_x, cosine, grad_cosine),
                    (own_weight, grad_own_weight, centre, grad_centre),
                ):
                    if pulled is not None and product is not None:
                        if not margin.keeps_weight_norm:
                            radial += (pulled * product).sum(dim=0)
                            pulled = pulled * n
                        grad_part.addmm_(pulled.T, left)
                        grad_left.addmm_(pulled, w)
                grad_part.addcmul_(w, (radial * n * n)[:, None], value=-1)
                if more_own is not None:
                    grad_own = grad_own + more_own[:, 0]
        grad_x.addcmul_(grad_own[:, None], own_weight)
        grad_own_weight.addcmul_(grad_own[:, None], x)
        if not margin.keeps_weight_norm:
            along = (grad_own_weight * own_weight).sum(dim=1, keepdim=True)
            grad_own_weight = inverse[labels, None] * (grad_own_weight - along * own_weight)
        grad_weight.index_add_(0, labels, grad_own_weight)
        return grad_x, grad_weight, None, grad_bias, None, None, None


def nonzero_norm(v: Tensor) -> Tensor:
    """The Euclidean norm of every row of v (N, d), and 1 where it is 0: dividing by it leaves a zero row at zero."""
    norm = v.norm(dim=1)
    return torch.where(norm > 0, norm, 1.0)


def _parts(classes: int, chunk: int) -> Iterator[slice]:
    for start in range(0, classes, chunk):
        yield slice(start, min(start + chunk, classes))


def _room(x: Tensor, classes: int, chunk_size: int | None, keep_bytes: int, margin: Margin) -> tuple[int, int]:
    """Of how many chunks to keep the cosines, and of how many the shifts, which cost more to compute again."""
    if chunk_size is None:
        return 1, 1 if margin.detach else 0
    chunks = -(-classes // chunk_size)
    room = keep_bytes // (x.element_size() * len(x) * chunk_size)
    shifts = min(chunks, room) if margin.needs_centres and margin.detach else 0
    return min(chunks, room - shifts), shifts


def _put(values: Tensor, place: Tensor) -> Tensor:
    """A copy of (N, k) values in a place (N, at least k); the values themselves where there is none."""
    return place[:, : values.shape[1]].copy_(values) if place.shape[1] else values


def _product(x: Tensor, weight: Tensor, inverse: Tensor) -> Tensor:
    """Of every row with every class of a chunk."""
    return (x @ weight.T).mul_(inverse)


def _centres(own_weight: Tensor, weight: Tensor, inverse: Tensor, margin: Margin) -> Tensor | None:
    """The cosines between each sample's class and every class of a chunk, where the margin wants them."""
    return _product(own_weight, weight, inverse) if margin.needs_centres else None


def _logits(changed: Tensor, labels: Tensor, part: slice, margin: Margin, bias: Tensor | None) -> Tensor:
    """s · U + b for a chunk of classes, with -∞ at each sample's own class."""
    logits = changed * (margin.scale or 1.0)
    if bias is not None:
        logits += bias[part]
    rows = ((labels >= part.start) & (labels < part.stop)).nonzero()[:, 0]
    logits[rows, labels[rows] - part.start] = -torch.inf
    return logits


def _differentiable_others(
    margin: Margin, cosine: Tensor, own: Tensor, centre: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, list[Tensor | None]]:
    """U of a chunk with a graph from the cosines of samples, own classes and centres, unless it is the identity.

    A shift that was kept has no gradient, and needs neither of the last two.
    """
    if not margin.changes_others:
        return cosine, []
    with torch.enable_grad():
        inputs = [None if t is None else t.detach().requires_grad_() for t in (cosine, own, centre)]
        if shift is None:
            shift = margin.shift(inputs[1], inputs[2])  # type: ignore[arg-type]
        return margin.others(inputs[0], shift), inputs  # type: ignore[arg-type]


def _pull_back(changed: Tensor, inputs: list[Tensor | None], grad: Tensor) -> list[Tensor | None]:
    """The gradient of U's three arguments, from that of U."""
    if not inputs:
        return [grad, None, None]
    present = [t for t in inputs if t is not None]
    found = iter(torch.autograd.grad(changed, present, grad, allow_unused=True))
    return [None if t is None else next(found) for t in inputs]
