"""The one heavy operation of every loss here: what a sample scores on all the classes that are not its own.

It runs over chunks of classes and holds N × chunk values at a time. The derivative of U comes from autograd, so that a margin
states T and U and nothing else. Where there is room, the forward pass keeps dU/dcos · exp(z - max z), and two products are all
that is left to do; the other chunks are computed again.
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
        chunk_size: how many classes to hold at a time; None is all of them, and keeps what the backward pass needs.
        keep_bytes: how much memory may keep derivatives for the backward pass, which computes the other chunks again.
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
        fits = _fits(x, len(weight), chunk_size, keep_bytes) if any(ctx.needs_input_grad) and _can_keep(margin, bias) else 0
        # one block of memory, because many kept tensors between short-lived ones would leave holes
        kept, highest = x.new_empty(fits, len(x), chunk), x.new_empty(fits, len(x))
        for number, part in enumerate(_parts(len(weight), chunk)):
            keeps = number < fits
            room = kept[number, :, : part.stop - part.start] if keeps else None
            cosine = _product(x, weight[part], inverse[part], out=room)
            centre = _centres(own_weight, weight[part], inverse[part], margin)
            changed, inputs = _changed(margin, cosine, own[:, None], centre, differentiable=keeps)
            above, exponentials = _exponentials(_logits(changed, labels, part, margin, bias, in_place=not inputs))
            others = torch.logaddexp(others, above + exponentials.sum(dim=1).log())
            if room is not None:
                highest[number] = above
                if inputs:
                    room.copy_(_pull_back(changed, inputs, exponentials)[0])
        ctx.save_for_backward(x, weight, labels, bias, inverse, own_weight, own, others)
        ctx.margin, ctx.chunk, ctx.kept, ctx.highest = margin, chunk, kept, highest
        return own, others

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_own: Tensor, grad_others: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, labels, bias, inverse, own_weight, own, others = ctx.saved_tensors
        margin: Margin = ctx.margin
        scale = margin.scale or 1.0
        grad_x, grad_weight, grad_own_weight = torch.zeros_like(x), torch.empty_like(weight), torch.zeros_like(x)
        grad_bias = None if bias is None else torch.empty_like(bias)
        finite = others.clamp_min(torch.finfo(others.dtype).min)  # L is -∞ where there is no other class
        with torch.autocast(x.device.type, enabled=False):
            for number, part in enumerate(_parts(len(weight), ctx.chunk)):
                w, n, pull = weight[part], inverse[part], grad_weight[part]
                unit = w if margin.keeps_weight_norm else w * n[:, None]
                if number < len(ctx.kept):
                    pulled = ctx.kept[number, :, : len(w)]
                    factor = (grad_others * (ctx.highest[number] - finite).exp_())[:, None]
                    if grad_bias is not None:
                        grad_bias[part] = factor[:, 0] @ pulled
                    factor *= scale
                    torch.mm(pulled.T, factor * x, out=pull)
                    grad_x.addcmul_(factor, pulled @ unit)
                else:
                    cosine, centre = _product(x, w, n), _centres(own_weight, w, n, margin)
                    changed, inputs = _changed(margin, cosine, own[:, None], centre, differentiable=True)
                    grad = _logits(changed, labels, part, margin, bias, in_place=not inputs).sub_(finite[:, None]).exp_()
                    grad *= grad_others[:, None]
                    if grad_bias is not None:
                        grad_bias[part] = grad.sum(dim=0)
                    grad *= scale
                    grad_cosine, more_own, grad_centre = _pull_back(changed, inputs, grad)
                    torch.mm(grad_cosine.T, x, out=pull)
                    grad_x.addmm_(grad_cosine, unit)
                    if grad_centre is not None:
                        pull.addmm_(grad_centre.T, own_weight)
                        grad_own_weight.addmm_(grad_centre, unit)
                    if more_own is not None:
                        grad_own = grad_own + more_own[:, 0]
                if not margin.keeps_weight_norm:
                    pull.addcmul_(unit, (pull * unit).sum(dim=1, keepdim=True), value=-1).mul_(n[:, None])
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


def _can_keep(margin: Margin, bias: Tensor | None) -> bool:
    """Whether the backward pass needs one number a product: not where a shift or a bias has a gradient beside U's."""
    return margin.detach and (bias is None or not margin.changes_others)


def _fits(x: Tensor, classes: int, chunk_size: int | None, keep_bytes: int) -> int:
    """How many chunks of N × chunk_size values there is room for."""
    if chunk_size is None:
        return 1
    return min(-(-classes // chunk_size), keep_bytes // (x.element_size() * len(x) * chunk_size))


def _product(x: Tensor, weight: Tensor, inverse: Tensor, out: Tensor | None = None) -> Tensor:
    """Of every row with every class of a chunk."""
    return torch.mm(x, weight.T, out=out).mul_(inverse)


def _centres(own_weight: Tensor, weight: Tensor, inverse: Tensor, margin: Margin) -> Tensor | None:
    """The cosines between each sample's class and every class of a chunk, where the margin wants them."""
    return _product(own_weight, weight, inverse) if margin.needs_centres else None


def _changed(
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


def _logits(changed: Tensor, labels: Tensor, part: slice, margin: Margin, bias: Tensor | None, in_place: bool) -> Tensor:
    """s · U + b for a chunk of classes, with -∞ at each sample's own class."""
    scale = margin.scale or 1.0
    logits = changed.mul_(scale) if in_place else changed.detach() * scale
    if bias is not None:
        logits += bias[part]
    rows = ((labels >= part.start) & (labels < part.stop)).nonzero()[:, 0]
    logits[rows, labels[rows] - part.start] = -torch.inf
    return logits


def _exponentials(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The highest of each row (N,), finite, and what each is, exponentiated, above it: in place."""
    highest = logits.amax(dim=1).clamp_min_(torch.finfo(logits.dtype).min)
    return highest, logits.sub_(highest[:, None]).exp_()


def _pull_back(changed: Tensor, inputs: list[Tensor | None], grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradient of U's three arguments, from that of U."""
    if not inputs:
        return grad, None, None
    found = iter(torch.autograd.grad(changed, [t for t in inputs if t is not None], grad, allow_unused=True))
    own_cosine, *others = [None if t is None else next(found) for t in inputs]
    return torch.zeros_like(grad) if own_cosine is None else own_cosine, *others  # type: ignore[return-value]
