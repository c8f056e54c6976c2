"""Later losses whose margin is the same for every sample, with other forms of T and U, or several weights a class."""

import math
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from marginface.angles import angle, psi, turn
from marginface.margins import Margin
from marginface.settings import ANGLE, COSINE, MULTIPLE, POSITIVE, Range, check, check_choice


@dataclass(frozen=True)
class CircleLoss(Margin):
    """T = [1 + m - c]₊ (c - 1 + m), U = [c + m]₊ (c - m), brackets without a gradient (Sun et al. 2020, Eq. 5, 6, by class).

    The further a cosine is from where it should be, 1 + m or -m, the faster it moves. γ of the paper is `scale`.
    """

    scale: float = 256.0
    m: float = 0.25

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, m=Range(0, 1))

    def target(self, cosine: Tensor) -> Tensor:
        return (1 + self.m - cosine.detach()).clamp_min(0) * (cosine - 1 + self.m)

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        return (cosine.detach() + self.m).clamp_min(0) * (cosine - self.m)


@dataclass(frozen=True)
class SphereFaceR(Margin):
    """SphereFace that trains without annealing (Liu et al. 2022): m times the angle, in one of three versions.

    "v1": T(θ) = cos(min(mθ, π)); "v2", where the own class is left alone: U(θ) = cos(θ / m); "v0": T = ψ, as SphereFace has it.
    `gradient`: "detached" gives T and U the derivative 1 with respect to the cosine (the paper's characteristic gradient
    detachment), "exact" their own. A `scale` is the paper's hard normalization of features, None its "no normalization".
    Versions, and the setting of v2 that is the default, are those of the authors' public code and recipe, which also multiplies
    the loss by 50 / s: here that is left to the learning rate.
    """

    scale: float | None = 60.0
    m: float = 1.4
    version: Literal["v0", "v1", "v2"] = "v2"
    gradient: Literal["detached", "exact"] = "detached"

    def __post_init__(self) -> None:
        check(self, m=MULTIPLE)
        if self.scale is not None:
            check(self, scale=POSITIVE)
        check_choice(self, version=("v0", "v1", "v2"), gradient=("detached", "exact"))

    @property
    def keeps_embedding_norm(self) -> bool:  # type: ignore[override]
        return self.scale is None

    @property
    def changes_others(self) -> bool:
        return self.version == "v2"

    def target(self, cosine: Tensor) -> Tensor:
        if self.version == "v2":
            return cosine
        value = psi(cosine, self.m) if self.version == "v0" else (self.m * angle(cosine)).clamp_max(math.pi).cos()
        return _passed(cosine, value, self.gradient)

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        return _passed(cosine, (angle(cosine) / self.m).cos(), self.gradient) if self.version == "v2" else cosine


def _passed(cosine: Tensor, value: Tensor, gradient: Literal["exact", "detached"]) -> Tensor:
    """What became of a cosine, with its own derivative or, as if only a constant had been added, with 1."""
    return value if gradient == "exact" else cosine + (value - cosine).detach()


@dataclass(frozen=True)
class SubCenterArcFace(Margin):
    """ArcFace with K weights a class, of which the nearest counts (Deng et al. 2020, Eq. 3); wrong labels have others.

    The class weights are (C, K, d).
    """

    scale: float = 64.0
    m: float = 0.5
    K: int = 3

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, m=ANGLE)
        if not isinstance(self.K, int) or isinstance(self.K, bool) or self.K < 2:
            raise ValueError(f"SubCenterArcFace: K={self.K!r} must be a whole number from 2 on; with one it is ArcFace")

    @property
    def centres(self) -> int:  # type: ignore[override]
        return self.K

    def target(self, cosine: Tensor) -> Tensor:
        return turn(cosine, self.m)


@dataclass(frozen=True)
class SphereFace2(Margin):
    """Whether a sample is of a class is asked of every class by itself (Wen et al. 2022, Eq. 7 and 8):

    λ/r log(1 + e^-z_y) + (1 - λ)/r Σ_j≠y log(1 + e^z_j), with z_y = r (g(cos θ_y) - m) + b, z_j = r (g(cos θ_j) + m) + b and
    g(c) = 2 ((c + 1)/2)^t - 1. r is `scale`. b is learned, and begins at `bias_begins`; None is where it has no gradient while
    all cosines are 0, as the authors' code has it: from 0 it would be hundreds of steps on its way. `weight` multiplies
    all: 1 as printed, 50 in the code, since 1/r makes the gradient small. With `gradient="detached"`, as in the code, g has the
    derivative 1. A loss has no L here: regularizers that look at it, such as IAM on logits, are refused.
    """

    scale: float = 40.0
    m: float = 0.4
    t: float = 3.0
    lam: float = 0.7
    bias_begins: float | None = None
    weight: float = 1.0
    gradient: Literal["exact", "detached"] = "exact"
    sums = "softplus"

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, m=COSINE, t=Range(1, math.inf), lam=Range(0, 1), weight=POSITIVE)
        check_choice(self, gradient=("exact", "detached"))
        if self.bias_begins is not None:
            check(self, bias_begins=Range(-math.inf, math.inf))

    def shared_bias(self, num_classes: int) -> float:
        if self.bias_begins is not None or num_classes < 2 or not 0 < self.lam < 1:
            return self.bias_begins or 0.0
        # λ σ(-z_y) = (1 - λ) (C - 1) σ(z_j), with b = d - r g(0), is 2 √z sinh(d - log(z) / 2) = (z - 1) e^(r m)
        z = max(self.lam / ((1 - self.lam) * (num_classes - 1)), 1e-100)
        turned = math.asinh((z - 1) / math.sqrt(z) / 2 * math.exp(min(self.scale * self.m, 600)))  # within a double
        return math.log(z) / 2 + turned - self.scale * (2 * 0.5**self.t - 1)

    def similar(self, cosine: Tensor) -> Tensor:
        """g, which spreads the cosines of what is alike."""
        return 2 * ((cosine + 1) / 2).clamp_min(0) ** self.t - 1

    def target(self, cosine: Tensor) -> Tensor:
        return _passed(cosine, self.similar(cosine), self.gradient) - self.m

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        return _passed(cosine, self.similar(cosine), self.gradient) + self.m

    def losses(self, target: Tensor, others: Tensor) -> Tensor:
        return self.weight / self.scale * (self.lam * F.softplus(-target) + (1 - self.lam) * others)
