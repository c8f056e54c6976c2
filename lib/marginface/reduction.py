"""The one heavy operation of every loss here: what a sample scores on all the classes that are not its own.

On the whole N × C matrix it is a few lines of ordinary autograd, which differentiates them as often as it is asked to. Over
chunks of classes it holds N × chunk values at a time; the derivative of U comes from autograd there, too, so that a margin
states T and U and nothing else. Where there is room, the forward pass keeps dU/dcos · exp(z - max z), and two products are all
that is left to do; the other chunks are computed again.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

import torch
from torch import Tensor

from marginface.directions import nonzero, norms, unit
from marginface.margins import Margin
from marginface.ranks import Ranks, held_rows, within
from marginface.sums import SUMS


def own_and_others(
    x: Tensor,
    weight: Tensor,
    labels: Tensor,
    margin: Margin,
    bias: Tensor | None = None,
    chunk_size: int | None = None,
    keep_bytes: int = 0,
    ranks: Ranks | None = None,
) -> tuple[Tensor, Tensor]:
    """The product with the own class, and L = log Σ_{j≠y} exp(s · U(x·w_j) + b_j) over the others.

    Or another sum of the same logits, by `margin.sums` (see `sums`).

    Class weights are divided by their norms here, chunk by chunk, unless the margin keeps them.

    Arguments:
        x: (N, d) float, of unit length unless the margin keeps its norm.
        weight: (C, d) float, as it is learned; or (C, K, d), and the product with a class is the largest of K.
        labels: (N,) int64.
        margin: gives s and U.
        bias: (C,) float, added to the logits.
        chunk_size: how many classes to hold at a time; None holds all of them, and so does a number that is not below C.
        keep_bytes: how much memory may keep derivatives for the backward pass, which computes the other chunks again.
        ranks: the processes whose classes these are, where each has a part of them. Weights and bias are this process's, x is
            as a share is computed from it (see `ranks`), and labels say where in this process's part a class lies, if there.
    Returns: x·w_y (N,) and L (N,), both of the dtype of x; L is -∞ where there is no other class.
    """
    keeps_norm = margin.keeps_embedding_norm or margin.keeps_weight_norm
    if ranks is not None and keeps_norm and margin.changes_others:
        own, logits = whole_over(ranks, x, weight, labels, margin, bias)
        return own, _others_over(ranks, logits, margin)
    if ranks is not None:
        chunk_size = max(1, min(chunk_size or len(weight), len(weight)))
    elif chunk_size is None or chunk_size >= len(weight) or (keeps_norm and margin.changes_others):
        own, logits = whole(x, weight, labels, margin, bias)
        return own, _others(logits, labels, margin)
    learns = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias))
    fits = _fits(x, len(weight), chunk_size, keep_bytes) if learns and _can_keep(margin, weight, bias) else 0
    own, others, *_ = _OwnAndOthers.apply(x, weight, labels, bias, margin, chunk_size, fits, ranks)
    return own, others


def whole(x: Tensor, weight: Tensor, labels: Tensor, margin: Margin, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """The product with the own class (N,), and the logits s · U + b of all classes (N, C), as if none were the own one."""
    changed = product = products(x, weight, margin)
    own = product.gather(1, labels[:, None])
    if margin.changes_others:
        length = _lengths(x, weight, margin)
        cosine = product if length is None else product / nonzero(length)
        changed = margin.others(cosine, _shift(cosine, weight, labels, margin))
        changed = changed if length is None else length * changed
    logits = margin.scaled(changed)
    return own[:, 0], logits if bias is None else logits + bias


def full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    """Where no autocast has a say, on the tensor's device. The meta device knows of none."""
    return nullcontext() if tensor.is_meta else torch.autocast(tensor.device.type, enabled=False)


def products(x: Tensor, weight: Tensor, margin: Margin) -> Tensor:
    """x·w_j of all classes (N, C): cosines, times the norms that the margin keeps."""
    product = x @ weight.flatten(0, -2).T
    product = product if margin.keeps_weight_norm else product / nonzero(norms(weight).flatten())
    return product if weight.dim() == 2 else product.unflatten(1, weight.shape[:2]).max(dim=2).values


def _lengths(x: Tensor, weight: Tensor, margin: Margin) -> Tensor | None:
    """The factor of the cosines that the margin keeps, of a shape that goes with (N, C); None for 1."""
    of_x = norms(x)[:, None] if margin.keeps_embedding_norm else None
    of_weight = norms(weight) if margin.keeps_weight_norm else None
    return of_x * of_weight if of_x is not None and of_weight is not None else of_weight if of_x is None else of_x


def _shift(cosine: Tensor, weight: Tensor, labels: Tensor, margin: Margin) -> Tensor | None:
    """What U wants to know besides its own angle, for all classes: without a gradient where the margin has `detach`."""
    own, centre = cosine.gather(1, labels[:, None]), None
    if margin.needs_centres:
        w = unit(weight)
        centre = w[labels] @ w.T
    if margin.detach:
        own, centre = own.detach(), None if centre is None else centre.detach()
    return margin.shift(own, centre)


def _others(logits: Tensor, labels: Tensor, margin: Margin) -> Tensor:
    """L, from the logits of all classes. For one class it is that of nothing, with a gradient of 0."""
    sums = SUMS[margin.sums]
    if logits.shape[1] == 1:
        return logits[:, 0] * 0 + sums.nothing
    return sums.of(logits.scatter(1, labels[:, None], -torch.inf))


def whole_over(
    ranks: Ranks, x: Tensor, weight: Tensor, place: Tensor, margin: Margin, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """x·w_y (N,), and the logits of this rank's classes (N, its classes), -∞ for the own one: by ordinary autograd."""
    is_own = place[:, None] == torch.arange(len(weight), device=place.device)
    product, length = products(x, weight, margin), _lengths(x, weight, margin)
    cosine = product if length is None else product / nonzero(length)
    own = ranks.total((product * is_own).sum(dim=1))
    changed = product
    if margin.changes_others:
        own_cosine, centre = ranks.shared(ranks.total((cosine * is_own).sum(dim=1)))[:, None], None
        if margin.needs_centres:
            centre = ranks.shared(ranks.own(unit(weight), place)) @ unit(weight).T
        if margin.detach:
            own_cosine, centre = own_cosine.detach(), None if centre is None else centre.detach()
        changed = margin.others(cosine, margin.shift(own_cosine, centre))
        changed = changed if length is None else length * changed
    logits = margin.scaled(changed)
    return own, (logits if bias is None else logits + bias).masked_fill(is_own, -torch.inf)


def _others_over(ranks: Ranks, logits: Tensor, margin: Margin) -> Tensor:
    """L, from the logits of each rank's classes."""
    sums = SUMS[margin.sums]
    nothing = logits.new_full((len(logits), 1), torch.finfo(logits.dtype).min)  # a rank may have no other class
    return sums.joined(ranks, sums.of(torch.cat([logits, nothing], dim=1)))


class _OwnAndOthers(torch.autograd.Function):
    """x·w_y and L, then what the backward pass wants to know."""

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        labels: Tensor,
        bias: Tensor | None,
        margin: Margin,
        chunk: int,
        fits: int,
        ranks: Ranks | None,
    ) -> tuple[Tensor, ...]:
        parts, sums = list(_parts(len(weight), chunk)), SUMS[margin.sums]
        inverse = torch.cat([_inverse(weight[part], margin) for part in parts] or [weight.new_empty(0)])
        own_weight, own = _own(x, weight, labels, inverse, margin, ranks)
        others = torch.full_like(own, sums.nothing)
        # one block of memory, because many kept tensors between short-lived ones would leave holes
        kept, highest = x.new_empty(fits, len(x), chunk), x.new_empty(fits, len(x))
        for number, part in enumerate(parts):
            keeps = number < fits
            room = kept[number, :, : part.stop - part.start] if keeps else None
            cosine, _ = _cosines(x, weight[part], inverse[part], out=room)
            centre = _centres(own_weight, weight[part], inverse[part], margin)
            changed, inputs = _changed(margin, cosine, own[:, None], centre, differentiable=keeps)
            logits = _logits(changed, labels, part, margin, bias, in_place=not inputs)
            others, above, derivatives = sums.add(others, logits)
            if room is not None:
                highest[number] = above
                if inputs:
                    room.copy_(_pull_back(changed, inputs, derivatives)[0])
        others = others if ranks is None else sums.joined(ranks, others)
        return own, others, inverse, own_weight, kept, highest

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, weight, labels, bias, ctx.margin, ctx.chunk, _, ctx.ranks = inputs
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(x, weight, labels, bias, *output)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> NoReturn:
        raise NotImplementedError(_CHUNKED.format("forward-mode derivatives"))

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> NoReturn:
        raise NotImplementedError(_CHUNKED.format("vmap"))

    @staticmethod
    def backward(ctx: Any, grad_own: Tensor | None, grad_others: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        with nullcontext() if ctx.ranks is None else ctx.ranks.together():
            grads = _gradients(ctx, grad_own, grad_others)
        if torch.is_grad_enabled():
            grads = tuple(None if g is None else _Once.apply(g, grad_own, grad_others, *ctx.saved_tensors) for g in grads)
        return grads[0], grads[1], None, grads[2], None, None, None, None


_CHUNKED = "over chunks of classes there are no {}: they need chunk_size=None, or head.logits"


class _Once(torch.autograd.Function):
    """A gradient that says so when it is to be differentiated again, with respect to any of what it came from."""

    @staticmethod
    def forward(gradient: Tensor, *origins: Tensor | None) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> NoReturn:
        raise NotImplementedError(_CHUNKED.format("second derivatives"))


@torch.no_grad()
def _gradients(ctx: Any, grad_own: Tensor | None, grad_others: Tensor | None) -> tuple[Tensor | None, ...]:
    """Of x, the class weights and the bias: those that are asked for."""
    x, weight, labels, bias, own, others, inverse, own_weight, kept, highest = ctx.saved_tensors
    of_x, of_weight, _, of_bias, *_ = ctx.needs_input_grad
    margin: Margin = ctx.margin
    scale, sums = margin.factor, SUMS[margin.sums]
    grad_own = torch.zeros_like(own) if grad_own is None else grad_own
    through_shifts = grad_own if ctx.ranks is None else torch.zeros_like(own)  # what they add to it
    grad_others = torch.zeros_like(own) if grad_others is None else grad_others
    grad_x, grad_own_weight = torch.zeros_like(x), torch.zeros_like(x)
    grad_weight = torch.empty_like(weight) if of_weight else None
    grad_bias = torch.empty_like(bias) if of_bias else None
    with full_precision(x):
        for number, part in enumerate(_parts(len(weight), ctx.chunk)):
            w, n = weight[part].flatten(0, -2), inverse[part].flatten()
            unit_w = w if margin.keeps_weight_norm else w * n[:, None]
            if number < len(kept):
                factor = (grad_others * sums.rest(highest[number], others))[:, None]
                grad_cosine, with_scale = kept[number, :, : len(w)], factor * scale
                if grad_bias is not None:
                    grad_bias[part] = factor[:, 0] @ grad_cosine
                if of_x:
                    grad_x.addcmul_(with_scale, grad_cosine @ unit_w)
                pull = grad_cosine.T @ (with_scale * x) if of_weight else None
            else:
                (cosine, nearest), centre = _cosines(x, weight[part], inverse[part]), _centres(own_weight, w, n, margin)
                changed, inputs = _changed(margin, cosine, own[:, None], centre, differentiable=True)
                grad = sums.slope(_logits(changed, labels, part, margin, bias, in_place=not inputs), others)
                grad *= grad_others[:, None]
                if grad_bias is not None:
                    grad_bias[part] = grad.sum(dim=0)
                grad *= scale
                grad_cosine, more_own, grad_centre = _pull_back(changed, inputs, grad)
                if nearest is not None:  # of the K of a class one alone
                    every = grad_cosine.new_zeros(*grad_cosine.shape, weight.shape[1])
                    grad_cosine = every.scatter_(2, nearest[:, :, None], grad_cosine[:, :, None]).flatten(1)
                if of_x:
                    grad_x.addmm_(grad_cosine, unit_w)
                pull = grad_cosine.T @ x if of_weight else None
                if grad_centre is not None and pull is not None:
                    pull.addmm_(grad_centre.T, own_weight)
                    grad_own_weight.addmm_(grad_centre, unit_w)
                if more_own is not None:
                    through_shifts = through_shifts + more_own[:, 0]
            if grad_weight is not None and pull is not None:
                through = pull if margin.keeps_weight_norm else _through_norm(pull, unit_w, n)
                grad_weight[part] = through.view_as(grad_weight[part])
    at = labels
    if ctx.ranks is None:
        grad_own = through_shifts
    else:
        if margin.changes_others and not margin.detach:
            grad_own = grad_own + ctx.ranks.sum(through_shifts)
            if margin.needs_centres and grad_weight is not None:
                ctx.ranks.sum(grad_own_weight)
        inside, at = within(labels, len(weight))  # the rest is about the samples whose class is here
        grad_own = grad_own * inside
        grad_own_weight *= inside[:, None]
    grad_x.addcmul_(grad_own[:, None], own_weight)
    if grad_weight is not None and len(weight) > 0:
        grad_own_weight.addcmul_(grad_own[:, None], x)
        if weight.dim() == 3:  # of the K of a class the one that was nearest
            at = at * weight.shape[1] + _of_class(x, weight, at, inverse)[1]
        if not margin.keeps_weight_norm:
            grad_own_weight = _through_norm(grad_own_weight, own_weight, inverse.flatten()[at])
        grad_weight.view(-1, x.shape[1]).index_add_(0, at, grad_own_weight)
    return grad_x if of_x else None, grad_weight, grad_bias


def _own(
    x: Tensor, weight: Tensor, labels: Tensor, inverse: Tensor, margin: Margin, ranks: Ranks | None
) -> tuple[Tensor, Tensor]:
    """The own classes' directions (N, d), and the product with them (N,).

    Over ranks, directions are zero where the class is elsewhere, unless the margin wants all of them.
    """
    if weight.dim() == 3:
        inside, at = within(labels, len(weight))
        own_weight, _, own = _of_class(x, weight, at, inverse) if len(weight) else (torch.zeros_like(x), None, x[:, 0])
        own_weight, own = own_weight * inside[:, None], own * inside
        return own_weight, own if ranks is None else ranks.sum(own)
    if ranks is None:
        own_weight = weight[labels] * inverse[labels, None]
        return own_weight, (x * own_weight).sum(dim=1)
    own_weight = held_rows(weight, labels) * held_rows(inverse, labels)[:, None]
    own = ranks.sum((x * own_weight).sum(dim=1))
    return ranks.sum(own_weight) if margin.needs_centres else own_weight, own


def _of_class(x: Tensor, weight: Tensor, place: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of the K weights of a sample's class the nearest: its direction (N, d), which one it is, and the product with it (N,)."""
    directions = weight[place] * inverse[place, :, None]
    product, which = torch.einsum("nd,nkd->nk", x, directions).max(dim=1)
    return directions[torch.arange(len(x), device=x.device), which], which, product


def _through_norm(gradient: Tensor, direction: Tensor, inverse: Tensor) -> Tensor:
    """The gradient of rows, in place, from that of their directions (n, d) and one over their norms (n,)."""
    along = (gradient * direction).sum(dim=1, keepdim=True)
    return gradient.addcmul_(direction, along, value=-1).mul_(inverse[:, None])


def _inverse(weight: Tensor, margin: Margin) -> Tensor:
    """What makes the rows of a chunk as long as the margin wants them; finite, and 1 for a row of zeros."""
    if margin.keeps_weight_norm:
        return torch.ones_like(weight[..., 0])
    return 1 / nonzero(norms(weight))


def _parts(classes: int, chunk: int) -> Iterator[slice]:
    for start in range(0, classes, chunk):
        yield slice(start, min(start + chunk, classes))


def _can_keep(margin: Margin, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the backward pass needs one number a product: not where a shift or a bias has a gradient beside U's."""
    return weight.dim() == 2 and margin.detach and (bias is None or not bias.requires_grad or not margin.changes_others)


def _fits(x: Tensor, classes: int, chunk: int, keep_bytes: int) -> int:
    """How many chunks of N × chunk values there is room for."""
    return min(-(-classes // chunk), keep_bytes // (x.element_size() * len(x) * chunk))


def _product(x: Tensor, weight: Tensor, inverse: Tensor, out: Tensor | None = None) -> Tensor:
    """Of every row with every class of a chunk."""
    return torch.mm(x, weight.T, out=out).mul_(inverse)


def _cosines(x: Tensor, weight: Tensor, inverse: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Of every row with every class of a chunk, and, of K weights a class, which was the nearest."""
    if weight.dim() == 2:
        return _product(x, weight, inverse, out), None
    product = _product(x, weight.flatten(0, 1), inverse.flatten())
    return product.unflatten(1, weight.shape[:2]).max(dim=2)


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
    scale = margin.factor
    logits = changed.mul_(scale) if in_place else changed.detach() * scale
    if bias is not None:
        logits += bias[part]
    place = (labels - part.start)[:, None]
    inside = (place >= 0) & (place < logits.shape[1])
    place = place.clamp(0, logits.shape[1] - 1)
    return logits.scatter_(1, place, logits.gather(1, place).masked_fill_(inside, -torch.inf))


def _pull_back(changed: Tensor, inputs: list[Tensor | None], grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradient of U's three arguments, from that of U."""
    if not inputs:
        return grad, None, None
    found = iter(torch.autograd.grad(changed, [t for t in inputs if t is not None], grad, allow_unused=True))
    own_cosine, *others = [None if t is None else next(found) for t in inputs]
    return torch.zeros_like(grad) if own_cosine is None else own_cosine, *others  # type: ignore[return-value]
