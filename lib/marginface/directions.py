"""Rows of a matrix as directions and lengths, for every length that a row can have.

Squares of float32 leave it below 1e-19 and above 1e19. So rows are divided by their largest value before they are squared,
unless their lengths are at hand and show that there is no need. A cosine in half precision cannot tell small angles apart, so
that all that follows is computed in full.
"""

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from marginface.checks import looks, value_of


def unit(v: Tensor) -> Tensor:
    """Every row of v (N, d), or (…, d), at unit length; a row of zeros stays as it is."""
    length = _if_safe(v)
    if length is None:
        v = v / _largest(v)
        length = nonzero(v.norm(dim=-1))
    return v / length[..., None]


def norms(v: Tensor) -> Tensor:
    """(N,) the Euclidean norm of every row of v (N, d), or (…, d); its derivative at a row of zeros is taken as 0."""
    length = _if_safe(v)
    if length is None:
        largest = _largest(v)
        length = (v / largest).norm(dim=-1) * largest[..., 0]
    return length


def full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    """Where no autocast has a say, on the tensor's device. The meta device knows of none."""
    return nullcontext() if tensor.is_meta else torch.autocast(tensor.device.type, enabled=False)


def nonzero(length: Tensor) -> Tensor:
    """The same, and 1 where it is 0: what a length is divided by."""
    return length.masked_fill(length == 0, 1.0)


def _if_safe(v: Tensor) -> Tensor | None:
    """The norms as one computes them, if the squares have kept all their digits and nobody waits to know that."""
    if not looks(v) or len(v) == 0:  # in this order: an exported graph must not be asked for its number of rows
        return None
    length, number = v.norm(dim=-1), torch.finfo(v.dtype)
    low, high = (value_of(end) for end in length.detach().aminmax())
    return length if low is not None and low >= math.sqrt(number.tiny) / number.eps and high < math.inf else None


def _largest(v: Tensor) -> Tensor:
    """(…, 1) the largest absolute value of each row, as a constant; 1 where there is none to speak of."""
    largest = v.detach().abs().amax(dim=-1, keepdim=True)
    return largest.masked_fill(largest < torch.finfo(v.dtype).tiny, 1.0)
