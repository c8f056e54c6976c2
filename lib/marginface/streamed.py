"""The heavy operation over chunks of classes, which holds N × chunk values at a time, of K weights a class K times as many.

The derivative of U comes from autograd, chunk by chunk, so that a margin states T and U and nothing else. Where there is room,
the forward pass keeps dU/dcos · exp(z - max z), and two products are all that is left to do; the other chunks are computed
again.
"""

from contextlib import nullcontext
from typing import Any, NoReturn

import torch
from torch import Tensor

from marginface import chunks
from marginface.directions import full_precision
from marginface.first_pass import FirstPass
from marginface.margins import Margin
from marginface.ranks import Ranks, held_rows, within
from marginface.sums import SUMS


def streamed(
    x: Tensor,
    weight: Tensor,
    labels: Tensor,
    margin: Margin,
    bias: Tensor | None,
    chunk_size: int,
    keep_bytes: int,
    ranks: Ranks | None,
    first: FirstPass | None = None,
) -> tuple[Tensor, Tensor]:
    """As `reduction.own_and_others`, over chunks of that size."""
    learns = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias))
    fits = chunks.fits(x, weight, chunk_size, keep_bytes) if learns and _can_keep(margin, bias) else 0
    inverse, cosines = (None, None) if first is None else first.take(fits)
    own, others, *_ = _Streamed.apply(x, weight, labels, bias, inverse, cosines, margin, chunk_size, fits, ranks)
    return own, others


class _Streamed(chunks.GradientOnly):
    """x·w_y and L, then what the backward pass wants to know."""

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        labels: Tensor,
        bias: Tensor | None,
        inverse: Tensor | None,
        cosines: Tensor | None,
        margin: Margin,
        chunk: int,
        fits: int,
        ranks: Ranks | None,
    ) -> tuple[Tensor, ...]:
        parts, sums = list(chunks.parts(len(weight), chunk)), SUMS[margin.sums]
        inverse = chunks.inverses(weight, margin, chunk) if inverse is None else inverse.clone()
        own_weight, own = _own(x, weight, labels, inverse, margin, ranks)
        others = torch.full_like(own, sums.nothing)
        # one block of memory, because many kept tensors between short-lived ones would leave holes
        kept = x.new_empty(fits, len(x), chunk) if cosines is None else cosines.detach()
        highest = x.new_empty(fits, len(x))
        which = torch.empty(fits if weight.dim() == 3 else 0, len(x), chunk, dtype=torch.uint8, device=x.device)
        of_bias = x.new_empty(fits if margin.changes_others and bias is not None else 0, len(x))
        for number, part in enumerate(parts):
            keeps = number < fits
            room = kept[number, :, : part.stop - part.start] if keeps else None
            if cosines is None or room is None:
                cosine, nearest = chunks.cosines(x, weight[part], inverse[part], out=room)
            else:
                cosine, nearest = room, None
            centre = chunks.centres(own_weight, weight[part], inverse[part], margin)
            changed, inputs = chunks.changed(margin, cosine, own[:, None], centre, differentiable=keeps)
            logits = chunks.logits(changed, labels, part, margin, bias, in_place=not inputs)
            others, above, derivatives = sums.add(others, logits)
            if room is not None:
                highest[number] = above
                if len(of_bias):
                    torch.sum(derivatives, dim=1, out=of_bias[number])
                if inputs or nearest is not None:
                    room.copy_(chunks.pull_back(changed, inputs, derivatives)[0])
                if nearest is not None:
                    which[number, :, : room.shape[1]] = nearest
        others = others if ranks is None else sums.joined(ranks, others)
        return own, others, inverse, own_weight, kept, highest, which, of_bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, weight, labels, bias, *_, ctx.margin, ctx.chunk, _, ctx.ranks = inputs
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(x, weight, labels, bias, *output)

    @staticmethod
    def backward(ctx: Any, grad_own: Tensor | None, grad_others: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        together = nullcontext() if ctx.ranks is None else ctx.ranks.together()
        saved = ctx.saved_tensors  # once: what is computed a second time is not there a third time
        with full_precision(saved[0]), together:
            grads = _gradients(ctx, saved, grad_own, grad_others)
        if torch.is_grad_enabled():
            grads = tuple(None if g is None else _Once.apply(g, grad_own, grad_others, *saved) for g in grads)
        return grads[0], grads[1], None, grads[2], None, None, None, None, None, None


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
        raise NotImplementedError(chunks.MISSING.format("second derivatives"))


@torch.no_grad()
def _gradients(
    ctx: Any, saved: tuple[Any, ...], grad_own: Tensor | None, grad_others: Tensor | None
) -> tuple[Tensor | None, ...]:
    """Of x, the class weights and the bias: those that are asked for."""
    x, weight, labels, bias, own, others, inverse, own_weight, kept, highest, which, of_one_bias = saved
    of_x, of_weight, _, of_bias, *_ = ctx.needs_input_grad
    margin: Margin = ctx.margin
    scale, sums = margin.factor, SUMS[margin.sums]
    grad_own = torch.zeros_like(own) if grad_own is None else grad_own
    through_shifts = grad_own if ctx.ranks is None else torch.zeros_like(own)  # what they add to it
    grad_others = torch.zeros_like(own) if grad_others is None else grad_others
    grad_x, grad_own_weight = torch.zeros_like(x), torch.zeros_like(x)
    grad_weight = torch.empty_like(weight) if of_weight else None
    grad_bias = torch.empty_like(bias) if of_bias else None
    for number, part in enumerate(chunks.parts(len(weight), ctx.chunk)):
        w, n = weight[part].flatten(0, -2), inverse[part].flatten()
        unit_w = w if margin.keeps_weight_norm else w * n[:, None]
        if number < len(kept):
            factor = (grad_others * sums.rest(highest[number], others))[:, None]
            grad_cosine, with_scale = kept[number, :, : part.stop - part.start], factor * scale
            if grad_bias is not None:
                if len(of_one_bias):  # one for all classes: their gradients are added up, wherever they stand
                    grad_bias[part] = 0
                    grad_bias[part.start] = factor[:, 0] @ of_one_bias[number]
                else:
                    grad_bias[part] = factor[:, 0] @ grad_cosine
            if len(which):
                grad_cosine = chunks.of_nearest(grad_cosine, which[number, :, : part.stop - part.start], weight.shape[1])
            if of_x:
                grad_x.addcmul_(with_scale, grad_cosine @ unit_w)
            pull = grad_cosine.T @ (with_scale * x) if of_weight else None
        else:
            (cosine, nearest), centre = chunks.cosines(x, weight[part], inverse[part]), chunks.centres(own_weight, w, n, margin)
            changed, inputs = chunks.changed(margin, cosine, own[:, None], centre, differentiable=True)
            grad = sums.slope(chunks.logits(changed, labels, part, margin, bias, in_place=not inputs), others)
            grad *= grad_others[:, None]
            if grad_bias is not None:
                grad_bias[part] = grad.sum(dim=0)
            grad *= scale
            grad_cosine, more_own, grad_centre = chunks.pull_back(changed, inputs, grad)
            if nearest is not None:
                grad_cosine = chunks.of_nearest(grad_cosine, nearest, weight.shape[1])
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


def _can_keep(margin: Margin, bias: Tensor | None) -> bool:
    """Whether the backward pass needs one number a product: not where a shift has a gradient beside U's, or where every class
    has a bias that has one; that of a bias which all classes share is a number a sample."""
    if bias is None or not bias.requires_grad or not margin.changes_others:
        return margin.detach
    return margin.detach and bias.stride() == (0,)
