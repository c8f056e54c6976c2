"""Angles and their functions from cosines, element-wise and differentiable: finite where the true derivative is not."""

import math
from typing import Any

import torch
from torch import Tensor


def sine(cosine: Tensor) -> Tensor:
    """sin θ ≥ 0 from cos θ; its derivative at cos θ = ±1, infinite in truth, is taken as 0."""
    return _Sine.apply(cosine)


class _Sine(torch.autograd.Function):
    """One function, as those below, because it runs over N × C values: with torch.where, autograd passes over seven such."""

    @staticmethod
    def forward(ctx: Any, cosine: Tensor) -> Tensor:
        result = (1 - cosine).mul_(1 + cosine).clamp_min_(0).sqrt_()  # keeps more digits near ±1 than 1 - cos²
        ctx.save_for_backward(cosine, result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        cosine, result = ctx.saved_tensors
        return _without_infinity(cosine / result).mul_(gradient).neg_()


def angle(cosine: Tensor) -> Tensor:
    """θ in [0, π] from cos θ; its derivative at cos θ = ±1, infinite in truth, is taken as 0."""
    return _Angle.apply(cosine)


class _Angle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cosine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine)
        return cosine.clamp(-1, 1).acos_()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (cosine,) = ctx.saved_tensors
        return _inverse_sine(cosine).mul_(gradient).neg_()


def _inverse_sine(cosine: Tensor) -> Tensor:
    return _without_infinity((1 - cosine).mul_(1 + cosine).clamp_min_(0).rsqrt_())


def _without_infinity(values: Tensor) -> Tensor:
    """0 for ±∞, in place and without a comparison, which would take longer than the arithmetic around it."""
    return values.nan_to_num_(nan=math.nan, posinf=0, neginf=0)


def turn(cosine: Tensor, by: float) -> Tensor:
    """cos(θ + by) from cos θ."""
    return cosine * math.cos(by) - sine(cosine) * math.sin(by)


def turn_back(cosine: Tensor, by: Tensor) -> Tensor:
    """cos(θ - by) from cos θ, for a `by` of its own at every value; the derivative at cos θ = ±1 is taken as 0."""
    return _TurnBack.apply(cosine, by)


class _TurnBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cosine: Tensor, by: Tensor) -> Tensor:
        turned = cosine.clamp(-1, 1).acos_().sub_(by)
        ctx.save_for_backward(cosine, turned)
        return turned.cos()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        cosine, turned = ctx.saved_tensors
        pulled = turned.sin().mul_(gradient)
        to_by = pulled.clone() if ctx.needs_input_grad[1] else None
        return pulled.mul_(_inverse_sine(cosine)), to_by


def psi(cosine: Tensor, m: float) -> Tensor:
    """ψ(θ) = (-1)ᵏ cos mθ - 2k for θ in [kπ/m, (k+1)π/m], which falls all the way (ArcFace Eq. 5, PAM Eq. 2)."""
    multiple = m * angle(cosine)
    k = (multiple.detach() / math.pi).floor()
    return (1 - 2 * (k % 2)) * multiple.cos() - 2 * k
