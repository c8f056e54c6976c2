"""The one heavy operation of every loss here: what a sample scores on all the classes that are not its own.

On the whole N × C matrix it is a few lines of ordinary autograd, which differentiates them as often as it is asked to. Over
chunks of classes it is `streamed`.
"""

import torch
from torch import Tensor

from marginface.directions import nonzero, norms, unit
from marginface.first_pass import FirstPass
from marginface.margins import Margin
from marginface.ranks import Ranks
from marginface.streamed import streamed
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
    first: FirstPass | None = None,
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
        first: an earlier pass over these classes with this batch, as many at a time, if there was one.
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
    return streamed(x, weight, labels, margin, bias, chunk_size, keep_bytes, ranks, None if keeps_norm else first)


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
