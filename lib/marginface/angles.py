"""Angles and their functions from cosines, element-wise and differentiable: finite where the true derivative is not."""

import math
from typing import Any

import torch
from torch import Tensor


def sine(cosine: Tensor) -> Tensor:
    """sin θ ≥ 0 from cos θ; its derivative at cos θ = ±1, infinite in truth, is taken as 0."""
    if cosine.dim() == 1 or torch.compiler.is_compiling():  # few values; and a compiler has no rule for a function with a jvp
        return ((1 - cosine) * (1 + cosine)).clamp_min(torch.finfo(cosine.dtype).tiny ** 0.5).sqrt()
    return _Sine.apply(cosine)


def angle(cosine: Tensor) -> Tensor:
    """θ in [0, π] from cos θ; its derivative at cos θ = ±1, infinite in truth, is taken as 0."""
    if torch.compiler.is_compiling():
        return torch.atan2(sine(cosine), cosine)
    return _Angle.apply(cosine)


class _Sine(torch.autograd.Function):
    """One function, as that below, because it runs over N × C values: with torch.where, autograd passes over seven such."""

    generate_vmap_rule = True

    @staticmethod
    def forward(cosine: Tensor) -> Tensor:
        return (1 - cosine).mul_(1 + cosine).clamp_min_(0).sqrt_()  # keeps more digits near ±1 than 1 - cos²

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        cosine, result = ctx.saved_tensors
        if torch.is_grad_enabled():  # this derivative is to have one of its own
            return -gradient * cosine / result.masked_fill(result == 0, math.inf)
        return _without_infinity(cosine / result).mul_(gradient).neg_()

    jvp = backward  # the derivative of each value is one number, for both directions


class _Angle(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(cosine: Tensor) -> Tensor:
        return cosine.clamp(-1, 1).acos_()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (cosine,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            result = _Sine.apply(cosine)
            return -gradient / result.masked_fill(result == 0, math.inf)
        return _without_infinity((1 - cosine).mul_(1 + cosine).clamp_min_(0).rsqrt_()).mul_(gradient).neg_()

    jvp = backward


def _without_infinity(values: Tensor) -> Tensor:
    """0 for ±∞, in place and without a comparison, which would take longer than the arithmetic around it."""
    return values.nan_to_num_(nan=math.nan, posinf=0, neginf=0)


def turn(cosine: Tensor, by: float) -> Tensor:
    """cos(θ + by) from cos θ."""
    return cosine * math.cos(by) - sine(cosine) * math.sin(by)


def turn_back(cosine: Tensor, by: Tensor) -> Tensor:
    """cos(θ - by) from cos θ, for a `by` of its own at every value; the derivative at cos θ = ±1 is taken as 0."""
    return (angle(cosine) - by).cos()


def psi(cosine: Tensor, m: float, lam: float = 0.0) -> Tensor:
    """ψ(θ) = (-1)ᵏ cos mθ - 2k for θ in [kπ/m, (k+1)π/m], which falls all the way (ArcFace Eq. 5, PAM Eq. 2), mixed with λ
    times cos θ."""
    multiple = m * angle(cosine)
    k = (multiple.detach() / math.pi).floor()
    return ((1 - 2 * (k % 2)) * multiple.cos() - 2 * k + lam * cosine) / (1 + lam)
