"""Where each loss puts its margin.

Every loss here is a cross-entropy over changed logits. For a sample x with label y, the logit of class j is

    z_y = s · ‖x‖ᵃ · ‖w_y‖ᵇ · T(cos θ_y)          z_j = s · ‖x‖ᵃ · ‖w_j‖ᵇ · U(cos θ_j)   for j ≠ y

and a paper is a choice of T (`target`), U (`others`), the scale s and of whether the two norms stay in (a, b).
Functions take and return cosines, so that no arccos, and none of its infinite derivatives, is needed where a loss can do
without. Angles are in radians. Everything is element-wise and differentiable.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


def sine(cosine: Tensor) -> Tensor:
    """sin θ ≥ 0 from cos θ; its derivative at cos θ = ±1, infinite in truth, is taken as 0."""
    square = (1 - cosine) * (1 + cosine)  # keeps more digits near ±1 than 1 - cos²
    inside = square > 0
    return torch.where(inside, square, 1.0).sqrt() * inside


def angle(cosine: Tensor) -> Tensor:
    """θ in [0, π] from cos θ, with finite derivatives everywhere."""
    return torch.atan2(sine(cosine), cosine)


class Margin:
    """A loss without a margin: T = U = identity. The losses below override what they change."""

    scale: float | None = None  # s; None is 1
    bias: bool = False
    keeps_embedding_norm: bool = False  # a
    keeps_weight_norm: bool = False  # b

    def target(self, cosine: Tensor) -> Tensor:
        """T: what becomes of the cosine between a sample and its own class. Shape and dtype stay."""
        return cosine

    def others(self, cosine: Tensor) -> Tensor:
        """U: what becomes of the cosine between a sample and another class. Shape and dtype stay."""
        return cosine


@dataclass(frozen=True)
class Softmax(Margin):
    """The inner product and a bias (ArcFace Eq. 1, IAM Eq. 1, PAM Eq. 1, InterFace Eq. 1)."""

    bias: bool = True
    keeps_embedding_norm = True
    keeps_weight_norm = True


@dataclass(frozen=True)
class WeightNormSoftmax(Margin):
    """Class weights of unit length, embeddings as they are (ArcFace Eq. 3)."""

    keeps_embedding_norm = True


@dataclass(frozen=True)
class NormFace(Margin):
    """Both of unit length, the cosine times a scale (IAM Eq. 3, there called the scaled softmax)."""

    scale: float = 30.0

    def __post_init__(self) -> None:
        _check(self, scale=self.scale > 0)


@dataclass(frozen=True)
class SphereFace(Margin):
    """T(θ) = (ψ(θ) + λ cos θ) / (1 + λ) with ψ(θ) = (-1)ᵏ cos mθ - 2k for θ in [kπ/m, (k+1)π/m] (ArcFace Eq. 4-7, PAM Eq. 3).

    `scale=None` keeps the embedding's norm, as the original does; a number puts embeddings on a sphere (F-Norm SphereFace).
    The paper wants a whole m; any m ≥ 1 gives the curve that it plots for m = 1.5.
    """

    m: float = 4
    lam: float = 0.0
    scale: float | None = None

    def __post_init__(self) -> None:
        _check(self, m=self.m >= 1, lam=self.lam >= 0, scale=self.scale is None or self.scale > 0)

    @property
    def keeps_embedding_norm(self) -> bool:  # type: ignore[override]
        return self.scale is None

    def target(self, cosine: Tensor) -> Tensor:
        multiple = self.m * angle(cosine)
        k = (multiple.detach() / math.pi).floor()
        sign = 1 - 2 * (k % 2)
        return (sign * multiple.cos() - 2 * k + self.lam * cosine) / (1 + self.lam)


@dataclass(frozen=True)
class CosFace(Margin):
    """T(θ) = cos θ - m (ArcFace Eq. 8, IAM Eq. 5, PAM Eq. 4; also called AM-Softmax and, by ArcFace, CosineFace)."""

    scale: float = 64.0
    m: float = 0.35

    def __post_init__(self) -> None:
        _check(self, scale=self.scale > 0, m=self.m >= 0)

    def target(self, cosine: Tensor) -> Tensor:
        return cosine - self.m


@dataclass(frozen=True)
class ArcFace(Margin):
    """T(θ) = cos(θ + m) (ArcFace Eq. 9).

    `fallback` says what happens where cos(θ + m) starts to rise again, at θ > π - m. The paper does nothing ("none", the
    default); the authors' code continues with cos θ - m sin m ("monotonic"), or adds the margin only where θ < π/2 ("easy").
    `gradient`: "exact", or "straight_through", which gives T the derivative 1 as the public PyTorch code does since 2022.
    """

    scale: float = 64.0
    m: float = 0.5
    fallback: Literal["none", "monotonic", "easy"] = "none"
    gradient: Literal["exact", "straight_through"] = "exact"

    def __post_init__(self) -> None:
        _check(
            self,
            scale=self.scale > 0,
            m=0 <= self.m < math.pi,
            fallback=self.fallback in ("none", "monotonic", "easy"),
            gradient=self.gradient in ("exact", "straight_through"),
        )

    def target(self, cosine: Tensor) -> Tensor:
        value = cosine * math.cos(self.m) - sine(cosine) * math.sin(self.m)
        if self.fallback == "monotonic":
            value = torch.where(cosine > -math.cos(self.m), value, cosine - self.m * math.sin(self.m))
        elif self.fallback == "easy":
            value = torch.where(cosine > 0, value, cosine)
        if self.gradient == "straight_through":
            return cosine + (value - cosine).detach()
        return value


def _check(margin: Margin, **valid: bool) -> None:
    """Raise a ValueError that names the first field whose value makes no sense."""
    for field, ok in valid.items():
        if not ok:
            raise ValueError(f"{type(margin).__name__}: {field}={getattr(margin, field)!r} is out of range")
