"""Where each loss puts its margin.

Every loss here is a cross-entropy over changed logits. For a sample x with label y, the logit of class j is

    z_y = s · ‖x‖ᵃ · ‖w_y‖ᵇ · T(cos θ_y)          z_j = s · ‖x‖ᵃ · ‖w_j‖ᵇ · U(cos θ_j)   for j ≠ y

and a paper is a choice of T (`target`), U (`others`), the scale s and of whether the two norms stay in (a, b).
Functions take and return cosines, so that no arccos, and none of its infinite derivatives, is needed where a loss can do
without. Angles are in radians. Everything is element-wise and differentiable.

A loss of one's own is a subclass that overrides some of it. Its settings are numbers, not tensors to be learned: a head knows
of no parameters but its own. One that may change during training is a `Schedule`.

Losses whose margin hangs on the batch, on samples' norms or on what they keep are in `adaptive`, later ones of another form in
`variants`. A loss that is added to any of them is found where losses are named: `from marginface import …`, records,
descriptions, and the tests, which hold it against the function of its name in `reference` (`ArcFace` has `arcface`; `L2Softmax`
has `l2_softmax`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from marginface.angles import angle, psi, turn, turn_back
from marginface.settings import (
    ANGLE,
    COSINE,
    DISTANCE,
    MULTIPLE,
    NOT_NEGATIVE,
    POSITIVE,
    Radians,
    Schedule,
    check,
    check_choice,
    first,
)
from marginface.settings import Annealing as Annealing
from marginface.settings import Ramp as Ramp

if TYPE_CHECKING:
    from marginface.batches import Batch


class Margin:
    """A loss without a margin: T = U = identity. The losses below override what they change.

    With a norm that is kept, T and U still see cosines, and the norm comes back as a factor. A loss that keeps one and changes
    the others (U) is computed on the whole N × C matrix, whatever a head's `chunk_size`.
    """

    scale: float | None = None  # s; None is 1
    bias: bool = False
    keeps_embedding_norm: bool = False  # a
    keeps_weight_norm: bool = False  # b
    needs_centres: bool = False  # whether the shift wants the cosines between class weights
    detach: bool = True  # whether the shift carries no gradient
    centres: int = 1  # K, weights of each class; its cosine is the largest
    sums: Literal["exp", "softplus"] = "exp"  # what of the others is summed: e^z, of which L is the logarithm, or log(1 + e^z)
    added: Tensor | None = None  # to the loss of every sample, (N,) or (): of a loss that has met a batch
    learns: Mapping[str, float] = MappingProxyType({})  # what there is of each class to be learned, and how it begins

    def target(self, cosine: Tensor) -> Tensor:
        """T: what becomes of the cosine between a sample and its own class. Shape and dtype stay."""
        return cosine

    def shift(self, own: Tensor, centre: Tensor | None = None) -> Tensor | None:
        """What U depends on besides its own angle, or None.

        Arguments:
            own: cos θ_y, (N, 1).
            centre: the cosine between the own class's weight and the other's, (N, k), where `needs_centres`.
        Returns: (N, 1) or (N, k), without a gradient where the margin has `detach`.
        """
        return None

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        """U: what becomes of the cosine between a sample and another class, (N, k). Shape and dtype stay."""
        return cosine

    def losses(self, target: Tensor, others: Tensor) -> Tensor:
        """Of every sample (N,), from z_y and from L, the log-sum-exp of all other classes."""
        return -F.logsigmoid(target - others)

    def shared_bias(self, num_classes: int) -> float | None:
        """Where a bias begins that is learned and the same for all classes; None is no such bias."""
        return None

    def keeps(self, num_classes: int) -> dict[str, Tensor]:
        """What the loss keeps from batch to batch, as it begins: tensors by name."""
        return {}

    def meet(self, batch: "Batch") -> "tuple[Margin, dict[str, Tensor]]":
        """The loss as it is for a batch, with a number for each sample where others have one, and what it then keeps.

        It may differ in what T, U and the scale come to, and not in what norms it keeps or whether it has a bias.
        """
        return self, {}

    def unmet(self, kept: Mapping[str, Tensor], num_classes: int, number: int) -> "Margin":
        """The loss as it is for plain logits, which are of no batch: by what is kept after so many batches in training."""
        return self

    @property
    def meets(self) -> bool:
        """Whether it has to do with batches: it meets them, keeps or learns something."""
        return type(self).meet is not Margin.meet or type(self).shared_bias is not Margin.shared_bias

    @property
    def factor(self) -> float | Tensor:
        """s, or 1 for none."""
        return 1.0 if self.scale is None else self.scale

    def scaled(self, values: Tensor) -> Tensor:
        """s times what T or U came to."""
        return values if isinstance(self.factor, float) and self.factor == 1 else self.factor * values

    @property
    def changes_target(self) -> bool:
        return type(self).target is not Margin.target

    @property
    def changes_others(self) -> bool:
        return type(self).others is not Margin.others

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The settings that change during training, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Schedule)}

    def at(self, step: int) -> Self:
        """The loss after so many steps of the optimizer, for those that have a schedule."""
        now = {name: schedule(step) for name, schedule in self.schedules.items()}
        return replace(self, **now) if now else self  # type: ignore[type-var]


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
class L2Softmax(Margin):
    """Embeddings on a sphere, class weights as they are (the ℓ2-constrained softmax, [20] of IAM)."""

    radius: float = 16.0
    keeps_weight_norm = True

    def __post_init__(self) -> None:
        check(self, radius=POSITIVE)

    @property
    def scale(self) -> float:  # type: ignore[override]
        return self.radius


@dataclass(frozen=True)
class NormFace(Margin):
    """Both of unit length, the cosine times a scale (IAM Eq. 3, there called the scaled softmax)."""

    scale: float = 30.0

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE)


@dataclass(frozen=True)
class LSoftmax(Margin):
    """T(θ) = (ψ(θ) + λ cos θ) / (1 + λ) with both norms kept (PAM Eq. 2, with λ = 0).

    PAM prints ψ for the other classes, too. The loss's own paper and ArcFace Eq. 5 have their cosine, and so does this. That
    paper (§5.1) lowers λ during training, without which ψ is hard to learn. `lam` is a number or an `Annealing`.
    """

    m: float | Schedule = 4
    lam: float | Schedule = field(default=0.0, metadata={"later": True})
    keeps_embedding_norm = True
    keeps_weight_norm = True

    def __post_init__(self) -> None:
        check(self, schedules=True, m=MULTIPLE, lam=NOT_NEGATIVE)

    def target(self, cosine: Tensor) -> Tensor:
        return psi(cosine, first(self.m), first(self.lam))


@dataclass(frozen=True)
class SphereFace(Margin):
    """T(θ) = (ψ(θ) + λ cos θ) / (1 + λ) (ArcFace Eq. 4-7, PAM Eq. 3).

    `scale=None` keeps the embedding's norm, as the original does; a number puts embeddings on a sphere (F-Norm SphereFace).
    The paper wants a whole m; any m ≥ 1 gives the curve that it plots for m = 1.5. `lam` is a number or an `Annealing`. The
    fields' order is not that of the other losses, whose scale comes first.
    """

    m: float | Schedule = 4
    lam: float | Schedule = 0.0
    scale: float | None = None

    def __post_init__(self) -> None:
        check(self, schedules=True, m=MULTIPLE, lam=NOT_NEGATIVE)
        if self.scale is not None:
            check(self, scale=POSITIVE)

    @property
    def keeps_embedding_norm(self) -> bool:  # type: ignore[override]
        return self.scale is None

    def target(self, cosine: Tensor) -> Tensor:
        return psi(cosine, first(self.m), first(self.lam))


@dataclass(frozen=True)
class CosFace(Margin):
    """T(θ) = cos θ - m (ArcFace Eq. 8, IAM Eq. 5, PAM Eq. 4; also called AM-Softmax and, by ArcFace, CosineFace)."""

    scale: float = 64.0
    m: float | Schedule = 0.35

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE)
        check(self, schedules=True, m=COSINE)

    def target(self, cosine: Tensor) -> Tensor:
        return cosine - first(self.m)


@dataclass(frozen=True)
class ArcFace(Margin):
    """T(θ) = cos(θ + m) (ArcFace Eq. 9).

    `fallback` says what happens where cos(θ + m) starts to rise again, at θ > π - m. The paper does nothing ("none", the
    default); the authors' code continues with cos θ - m sin m ("monotonic"), or adds the margin only where θ < π/2 ("easy").
    `gradient`: "exact", or "straight_through", which gives T the derivative 1 as the public PyTorch code does since 2022.
    """

    scale: float = 64.0
    m: float | Schedule = 0.5
    fallback: Literal["none", "monotonic", "easy"] = "none"
    gradient: Literal["exact", "straight_through"] = "exact"

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE)
        check(self, schedules=True, m=ANGLE)
        check_choice(self, fallback=("none", "monotonic", "easy"), gradient=("exact", "straight_through"))

    def target(self, cosine: Tensor) -> Tensor:
        m = first(self.m)
        value = turn(cosine, m)
        if self.fallback == "monotonic":
            value = torch.where(cosine > -math.cos(m), value, cosine - m * math.sin(m))
        elif self.fallback == "easy":
            value = torch.where(cosine > 0, value, cosine)
        if self.gradient == "straight_through":
            return cosine + (value - cosine).detach()
        return value


@dataclass(frozen=True)
class CombinedMargin(Margin):
    """T(θ) = cos(m1 θ + m2) - m3 (InterFace Eq. 2), as printed: with m1 > 1 the curve rises again."""

    scale: float = 64.0
    m1: float | Schedule = 1.0
    m2: float | Schedule = 0.0
    m3: float | Schedule = 0.0

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE)
        check(self, schedules=True, m1=POSITIVE, m2=ANGLE, m3=COSINE)

    def target(self, cosine: Tensor) -> Tensor:
        m1, m2, m3 = first(self.m1), first(self.m2), first(self.m3)
        turned = turn(cosine, m2) if m1 == 1 else (m1 * angle(cosine) + m2).cos()
        return turned - m3


@dataclass(frozen=True)
class RedefinedArcFace(Margin):
    """T(θ) = cos(θ + m1), U(θ_j) = cos(θ_j - m2) (InterFace Eq. 4, there called RArc)."""

    scale: float = 64.0
    m1: float | Schedule = 0.3
    m2: float | Schedule = 0.2

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE)
        check(self, schedules=True, m1=ANGLE, m2=ANGLE)

    def target(self, cosine: Tensor) -> Tensor:
        return turn(cosine, first(self.m1))

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        return turn(cosine, -first(self.m2))


@dataclass(frozen=True)
class InterFace(Margin):
    """T(θ) = cos(θ + m), U(θ_j) = cos(θ_j - f) (InterFace Eq. 5-8), with

        f = α(e^-γ - e^-t)     γ = θ_y / d_inter     t = a + b / d_inter

    and d_inter the angle between the two class weights (`d_inter=None`), or a constant.

    The paper prints less than it does, so three readings are options. `sign="paper"` is f as printed; the authors' code has
    -f ("released"). `b` is in radians, as all angles here; their code has degrees where the paper prints b = 10. More than π is
    refused unless it is `Radians`. In their
    code γ and t carry no gradient (`detach=True`, the default); the paper does not say. Like their code, d_inter is at
    least 0.01.
    """

    scale: float = 64.0
    m: float | Schedule = 0.5
    alpha: float = 0.1
    a: float = 0.0
    b: float = 0.0
    d_inter: float | None = None
    sign: Literal["paper", "released"] = "paper"
    detach: bool = True

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, alpha=NOT_NEGATIVE, a=NOT_NEGATIVE)
        check(self, b=NOT_NEGATIVE if isinstance(self.b, Radians) else ANGLE)
        check(self, schedules=True, m=ANGLE)
        if self.d_inter is not None:
            check(self, d_inter=DISTANCE)
        check_choice(self, sign=("paper", "released"))

    @classmethod
    def cid_ct(cls, **changes: Any) -> "InterFace":
        """Constant d_inter = π/2, constant t = a = 0.2."""
        return cls(**{"a": 0.2, "d_inter": math.pi / 2} | changes)

    @classmethod
    def did_ct(cls, **changes: Any) -> "InterFace":
        """Real d_inter, constant t = a = 0.3."""
        return cls(**{"a": 0.3} | changes)

    @classmethod
    def did_dt(cls, **changes: Any) -> "InterFace":
        """Real d_inter, t = b / d_inter with b = 10°."""
        return cls(**{"b": math.radians(10)} | changes)

    @property
    def needs_centres(self) -> bool:  # type: ignore[override]
        return self.d_inter is None

    def target(self, cosine: Tensor) -> Tensor:
        return turn(cosine, first(self.m))

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        if shift is None:
            raise ValueError("InterFace: U needs f, as `shift` gives it")
        return turn_back(cosine, shift)

    def shift(self, own: Tensor, centre: Tensor | None = None) -> Tensor:
        """f, in radians, from cos θ_y (N, 1) and, for a real d_inter, the cosine between class weights (N, k)."""
        if self.detach:
            own, centre = own.detach(), None if centre is None else centre.detach()
        if self.d_inter is not None:
            d_inter = torch.full_like(own, self.d_inter)
        elif centre is not None:
            d_inter = angle(centre.clamp_max(math.cos(0.01)))
        else:
            raise ValueError("InterFace: a real d_inter needs the cosine between class weights (centre)")
        near = (-angle(own) / d_inter).exp_()
        far = torch.exp(-self.b / d_inter).mul(math.exp(-self.a)) if self.b else math.exp(-self.a)
        return (near - far).mul_(self.alpha if self.sign == "paper" else -self.alpha)


def described(margin: Margin) -> str:
    """Its name and settings, the same for 64 and 64.0."""
    settings: dict[str, Any] = {f.name: getattr(margin, f.name) for f in fields(margin)} if is_dataclass(margin) else {}
    plain = [
        f"{name}={float(value):g}" if isinstance(value, int | float) else f"{name}={value!r}"
        for name, value in settings.items()
    ]
    return f"{type(margin).__name__}({', '.join(plain)})"
