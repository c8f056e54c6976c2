"""Rows of a matrix as directions and lengths, for every length that a row can have."""

from typing import Any

import torch
from torch import Tensor


def unit(v: Tensor) -> Tensor:
    """Every row of v (N, d) at unit length; a row of zeros stays as it is.

    It is scaled before it is squared, because squares leave float32 at 1e19 already.
    """
    return _both(v)[0]


def norms(v: Tensor) -> Tensor:
    """(N,) the Euclidean norm of every row of v (N, d), likewise; its derivative at a row of zeros is taken as 0."""
    return _both(v)[1]


def nonzero(length: Tensor) -> Tensor:
    """The same, and 1 where it is 0: what a length is divided by."""
    return torch.where(length > 0, length, 1.0)


def _both(v: Tensor) -> tuple[Tensor, Tensor]:
    if torch.compiler.is_compiling():  # a compiler has no rule for a function with a jvp, and fuses the steps by itself
        return _scaled_first(v, v.detach())
    return _Both.apply(v)


def _scaled_first(v: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    largest = constant.abs().amax(dim=1, keepdim=True)
    largest = torch.where(largest >= torch.finfo(v.dtype).tiny, largest, 1.0)
    scaled = v / largest
    length = scaled.norm(dim=1, keepdim=True)
    return scaled / nonzero(length), (length * largest)[:, 0]


class _Both(torch.autograd.Function):
    """One function, because autograd passes over the rows three times for `scaled` alone."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor) -> tuple[Tensor, Tensor]:
        return _scaled_first(v, v)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*output)
        ctx.save_for_forward(*output)

    @staticmethod
    def backward(ctx: Any, grad_unit: Tensor, grad_length: Tensor) -> Tensor:
        u, length = ctx.saved_tensors
        length = nonzero(length)[:, None]
        along = length * grad_length[:, None] - (grad_unit * u).sum(dim=1, keepdim=True)
        return torch.addcmul(grad_unit, u, along) / length

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> tuple[Tensor, Tensor]:
        u, length = ctx.saved_tensors
        along = (tangent * u).sum(dim=1, keepdim=True)
        return (tangent - u * along) / nonzero(length)[:, None], along[:, 0]
