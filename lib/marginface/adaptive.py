"""Losses whose margin hangs on the batch: on samples' norms, on what they kept from earlier batches, on chance.

Each is a `Margin` that meets a batch and comes back as one with a number for every sample.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from marginface.angles import angle, turn, turn_back
from marginface.batches import Batch, Scaled
from marginface.directions import nonzero
from marginface.margins import Margin
from marginface.sampling import generator
from marginface.settings import ANGLE, COSINE, NOT_NEGATIVE, POSITIVE, Range, check, check_choice

SHARE = Range(0, 1, above=True)
LONGEST = 1e12  # of what counts of a norm, so that float32 holds the squares of many


@dataclass(frozen=True, eq=False)
class _Moved(Margin):
    """T(θ) = cos(θ + turned) - taken, with numbers of their own for every sample, (N,)."""

    scale: float
    turned: Tensor | None = None
    taken: Tensor | None = None
    added: Tensor | None = None

    def target(self, cosine: Tensor) -> Tensor:
        value = cosine if self.turned is None else turn_back(cosine, -self.turned)
        return value if self.taken is None else value - self.taken


@dataclass(frozen=True)
class AdaFace(Margin):
    """T(θ) = cos(θ - m ẑ) - m (1 + ẑ), with ẑ the norm of x among others' (Kim, Jain, Liu 2022, Eq. 15-18).

    ẑ = h (‖x‖ - μ) / σ, held in [-1, 1], carries no gradient, and the norm stands for the quality of an image. μ and σ are
    moving averages of the batch's mean and standard deviation, in which the new batch counts `alpha`: 0.99 in the paper,
    0.01 in the authors' recipes, and 1 by default in their code. A batch counts before its margin is computed. The paper
    does not say where μ and σ begin; like the code, at 20 and 100. A batch of one has no deviation and leaves σ as it was.
    Norms beyond 1e12 count as that; the authors' code holds them in [0.001, 100]. Where θ < m ẑ, T as printed pushes a sample
    away from its class; their code holds θ - m ẑ in [0.001, π - 0.001], and T is flat there.
    """

    scale: float = 64.0
    m: float = 0.4
    h: float = 0.333
    alpha: float = 0.99

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, m=ANGLE, h=POSITIVE, alpha=SHARE)

    def keeps(self, num_classes: int) -> dict[str, Tensor]:
        return {"mean": torch.tensor(20.0), "deviation": torch.tensor(100.0)}

    def meet(self, batch: Batch) -> tuple[Margin, dict[str, Tensor]]:
        norms, (mean, deviation) = batch.norms.detach().clamp_max(LONGEST), (batch.kept["mean"], batch.kept["deviation"])
        after: dict[str, Tensor] = {}
        if batch.follows:
            every = batch.gather(norms)
            mean = mean + self.alpha * (every.mean() - mean)
            if len(every) > 1:
                deviation = deviation + self.alpha * (every.std() - deviation)
            after = {"mean": mean, "deviation": deviation}
        z = (self.h * (norms - mean) / nonzero(deviation)).clamp(-1, 1)
        return _Moved(self.scale, turned=-self.m * z, taken=self.m * (1 + z)), after


@dataclass(frozen=True)
class MagFace(Margin):
    """T(θ) = cos(θ + m(a)) with a = ‖x‖, and λ (1/a + a/u_a²) added to the loss (Meng et al. 2021, Eq. 3 and Section 3.2).

    m(a) rises evenly from `least` at a = `short` to `most` at a = `long`; a is held between these two, beyond which it has no
    gradient. The paper asks for λ of at least 22.59 with its settings, and has 35; its code has 20 by default, and adds the
    margin only where θ < π/2.
    """

    scale: float = 64.0
    least: float = 0.45
    most: float = 0.8
    short: float = 10.0
    long: float = 110.0
    lam: float = 35.0

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, least=ANGLE, most=ANGLE, short=POSITIVE, long=POSITIVE, lam=NOT_NEGATIVE)
        if self.short >= self.long:
            raise ValueError(f"MagFace: short={self.short!r} must be less than long={self.long!r}")

    def meet(self, batch: Batch) -> tuple[Margin, dict[str, Tensor]]:
        a = batch.norms.clamp(self.short, self.long)
        m = self.least + (self.most - self.least) * (a - self.short) / (self.long - self.short)
        return _Moved(self.scale, turned=m, added=self.lam * (1 / a + a / self.long**2)), {}


@dataclass(frozen=True)
class CurricularFace(Margin):
    """T(θ) = cos(θ + m); U is cos θ_j where that is at most T, else cos θ_j (t + cos θ_j) (Huang et al. 2020, Eq. 8-10).

    t begins at 0 and is a moving average of the batch's mean cos θ_y, in which the new batch counts `alpha`, before its margin
    is computed: 0.99 as printed, 0.01 in the authors' code. Which of the two U is, and t, carry no gradient. Where θ > π - m
    their code has T = cos θ - m sin m; here T is as printed.
    """

    scale: float = 64.0
    m: float = 0.5
    alpha: float = 0.99

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, m=ANGLE, alpha=SHARE)

    def keeps(self, num_classes: int) -> dict[str, Tensor]:
        return {"t": torch.tensor(0.0)}

    def meet(self, batch: Batch) -> tuple[Margin, dict[str, Tensor]]:
        t = batch.kept["t"]
        if not batch.follows:
            return _Harder(self.scale, self.m, t), {}
        t = t + self.alpha * (batch.gather(batch.cosine).mean() - t)
        return _Harder(self.scale, self.m, t), {"t": t}


@dataclass(frozen=True, eq=False)
class _Harder(Margin):
    """CurricularFace with its t."""

    scale: float
    m: float = 0.0
    t: Tensor | float = 0.0

    def target(self, cosine: Tensor) -> Tensor:
        return turn(cosine, self.m)

    def shift(self, own: Tensor, centre: Tensor | None = None) -> Tensor:
        return turn(own.clamp(-1, 1), self.m)

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        if shift is None:
            raise ValueError("CurricularFace: U needs T of the own class, as `shift` gives it")
        return torch.where(cosine > shift, cosine * (self.t + cosine), cosine)


@dataclass(frozen=True)
class ElasticFace(Margin):
    """ArcFace or CosFace with a margin for every sample that is drawn anew, from N(m, σ) (Boutros et al. 2022, Eq. 4-6).

    `plus` gives the smallest of a batch's margins to the sample that is nearest to its class, and so on (ElasticFace+). The
    authors' code takes the sorted margins in the order in which the samples are sorted, which gives them to other samples.
    m and σ are 0.5 and 0.05 with an angle in the paper ("arc"; 0.0175 with `plus`), and 0.35 and 0.05 with a cosine ("cos";
    0.025 with `plus`). What is drawn follows from `seed`, from the head's, which in a recipe is the recipe's, and from how many
    batches there were. Where several processes have whole heads, each draws for its own samples; with classes over them, what
    one process draws for the samples of all.
    """

    scale: float = 64.0
    m: float = 0.5
    sigma: float = 0.05
    kind: Literal["arc", "cos"] = "arc"
    plus: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, m=ANGLE if self.kind == "arc" else COSINE, sigma=NOT_NEGATIVE)
        check_choice(self, kind=("arc", "cos"))

    def draw(self, samples: int, number: int, seed: int = 0, rank: int = 0) -> Tensor:
        """The margins (N,) float64 of a batch, by how many there were before it, the head's seed and the process."""
        source = generator(f"margins {self.seed} {seed}", number, rank, torch.device("cpu"))
        return self.m + self.sigma * torch.randn(samples, generator=source, dtype=torch.float64)

    def meet(self, batch: Batch) -> tuple[Margin, dict[str, Tensor]]:
        m = self.draw(len(batch.cosine), batch.number, batch.seed, batch.rank).to(batch.cosine)
        if self.plus:
            rank = batch.cosine.argsort(descending=True, stable=True).argsort()
            m = m.sort().values[rank]
        return _Moved(self.scale, turned=m) if self.kind == "arc" else _Moved(self.scale, taken=m), {}


@dataclass(frozen=True)
class AdaCos(Margin):
    """No margin, and a scale that no one has to choose (Zhang et al. 2019).

    Fixed, it is s = √2 log(C - 1) (Eq. 12). Dynamic, it begins there, and each batch has log(B) / cos(min(π/4, median θ_y)),
    where B is the mean over its samples of Σ_j≠y e^(s cos θ_j) with the s before (Eq. 15, 16): a second pass over all classes,
    without a gradient. With two classes s is 0, and nothing is learned; with few it may come out below 0, and counts as 0.
    """

    dynamic: bool = True

    def keeps(self, num_classes: int) -> dict[str, Tensor]:
        return {"s": torch.tensor(self._fixed(num_classes))}

    def _fixed(self, num_classes: int) -> float:
        return math.sqrt(2) * math.log(max(num_classes - 1, 1))

    def meet(self, batch: Batch) -> tuple[Margin, dict[str, Tensor]]:
        s = batch.cosine.new_tensor(self._fixed(batch.num_classes))
        if batch.num_classes < 3:
            return Scaled(s), {}
        if self.dynamic and batch.number:
            s = batch.kept["s"].to(batch.cosine)
        if not (self.dynamic and batch.follows):
            return Scaled(s), {}
        with torch.no_grad():
            others = batch.gather(batch.others(s))
        median = angle(batch.gather(batch.cosine).clamp(-1, 1)).median()
        s = ((others.logsumexp(dim=0) - math.log(len(others))) / median.clamp_max(math.pi / 4).cos()).clamp_min(0)
        return Scaled(s), {"s": s}

    def unmet(self, kept: Mapping[str, Tensor], num_classes: int, number: int) -> Margin:
        return Scaled(kept["s"] if self.dynamic and number and num_classes >= 3 else self._fixed(num_classes))


@dataclass(frozen=True)
class AdaptiveFace(Margin):
    """CosFace with a margin for each class that is learned, less λ times their mean (Liu et al. 2019, Eq. 5-7).

    Classes with few images are to get larger ones. The paper does not say where margins begin; here at `m`. They stand still
    where the mean of 1 - p over samples is λ / s: with a small λ they vanish, with one of s and more they grow. 10 is the
    paper's, by what people who tried it say.

    A margin counts as 0 below 0, where T rewarded the wrong side, and as 1 above 1; the paper does not say, public code holds
    margins there. What is learned may lie beyond and finds back: below 0 λ alone moves it, above 1 T alone.
    """

    scale: float = 64.0
    m: float = 0.35
    lam: float = 10.0

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, m=COSINE, lam=NOT_NEGATIVE)

    @property
    def learns(self) -> dict[str, float]:  # type: ignore[override]
        return {"m": self.m}

    def meet(self, batch: Batch) -> tuple[Margin, dict[str, Tensor]]:
        m = batch.kept["m"].to(batch.cosine.dtype)
        own = batch.own(m).clamp_min(0)
        taken = own - (own - 1).clamp_min(0).detach()
        return _Moved(self.scale, taken=taken, added=-self.lam * batch.mean(m.clamp_max(1))), {}


@dataclass(frozen=True)
class DynArcFace(Margin):
    """ArcFace with a margin by class: T(θ) = cos(θ + m_y), m_y = m + slope · max(0, θ_n - begins) (Jiao et al. 2021).

    θ_n is the angle between the weights of the own class and of the nearest other. So a class has a larger margin where there
    is room for one. It is that of the class weights as they are, in a second pass over all classes without a gradient: nothing
    is kept.

    The paper's text was not at hand. This is how the public code of X2-Softmax (Xu et al. 2024), which compares with it, has
    it, without what it adds to round off the bend, at most 0.03 m. Neither says which settings the paper has. Those here make
    m_y ArcFace's 0.5 where the nearest class is 1.5 away, nearly at right angles, and 0.4 from an angle of 1 down.
    """

    scale: float = 64.0
    m: float = 0.4
    slope: float = 0.2
    begins: float = 1.0

    def __post_init__(self) -> None:
        check(self, scale=POSITIVE, m=ANGLE, slope=NOT_NEGATIVE, begins=ANGLE)
        if (most := self.m + self.slope * (math.pi - self.begins)) > math.pi:
            raise ValueError(f"DynArcFace: slope={self.slope!r} makes margins of up to {most:.3g}, and they must be at most π")

    def meet(self, batch: Batch) -> tuple[Margin, dict[str, Tensor]]:
        with torch.no_grad():
            between = angle(batch.neighbour().clamp(-1, 1))
        return _Moved(self.scale, turned=self.m + self.slope * (between - self.begins).clamp_min(0)), {}
