"""Where the papers and the public code of losses that came after ArcFace differ, with the computed examples.

Read on GitHub: head.py and config.py of mk-minchul/AdaFace; models/magface.py, run/trainer.py and run/run.sh of
IrvingMeng/MagFace; head/metrics.py of HuangYG123/CurricularFace; utils/losses.py of fdbtrs/ElasticFace;
model/head/sphereface2.py of ydwen/opensphere; and for AdaptiveFace, whose authors' repository has no code,
head/AdaM_Softmax.py and training_mode/head_conf.yaml of JDAI-CV/FaceX-Zoo.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from marginface.adaptive import AdaFace, CurricularFace, ElasticFace, MagFace
from marginface.book.audit.public_code.point import Point
from marginface.book.papers.arcface import curves
from marginface.book.profiles import CLASSES, slope
from marginface.margins import ArcFace
from marginface.variants import SphereFace2

Numbers = NDArray[np.float64]
RECIPES, HEAD = 0.01, 1.0  # how much a new batch counts in AdaFace's code: in its recipes, and by default in its head
MAGFACE_CODE = 20.0  # λ where nobody sets it
FACEX_ZOO = (70.0, 32.0)  # AdaptiveFace's λ and s


def points() -> list[Point]:
    return [*_on_adaface(), *_on_magface(), *_on_curricularface(), _on_elasticface(), *_on_sphereface2(), *_on_adaptiveface()]


# AdaFace and CurricularFace


def left(alpha: float, batches: int) -> float:
    """The share of where it began that is left in a moving average in which a new batch counts `alpha`."""
    return (1 - alpha) ** batches


def average_table(
    alphas: Sequence[float] = (AdaFace().alpha, RECIPES, HEAD), batches: Sequence[int] = (1, 10, 100, 1000)
) -> pd.DataFrame:
    """What a moving average still has of where it began after n batches, in percent."""
    lines = [(f"{alpha:g}", *(f"{100 * left(alpha, n):.2f}" for n in batches)) for alpha in alphas]
    return pd.DataFrame(lines, columns=["a new batch counts", *(f"n = {n:,}" for n in batches)])


def quality(norms: Sequence[float], held: bool = False) -> Numbers:
    """AdaFace's ẑ (N,) of a batch that alone makes μ and σ; `held` as in the code: norms in [0.001, 100], 0.001 added to σ."""
    x = np.clip(norms, 0.001, 100) if held else np.array(norms)
    return np.clip(AdaFace().h * (x - x.mean()) / (x.std(ddof=1) + 0.001 * held), -1, 1)


def adaface_slope(degrees: float, z: float, held: bool = False) -> float:
    """dT/dθ of AdaFace; `held` as in the code, where θ - m ẑ stays in [0.001, π - 0.001]."""
    angle = math.radians(degrees) - AdaFace().m * z
    return 0.0 if held and not 0.001 <= angle <= math.pi - 0.001 else -math.sin(angle)


def _on_adaface() -> list[Point]:
    alpha, z, norms = AdaFace().alpha, 1.0, (120, 150, 180)
    printed, held = quality(norms), quality(norms, held=True)
    slopes = adaface_slope(10, z), adaface_slope(10, z, held=True)
    return [
        Point(
            "AdaFace: the moving averages of norms",
            f"a new batch counts {alpha:g}",
            f"{RECIPES:g} in the recipes, {HEAD:g} by default in the head",
            alpha in (RECIPES, HEAD),
            f"of where μ and σ begin, after 100 batches {100 * left(alpha, 100):.0f}% is left by the paper, "
            f"{100 * left(RECIPES, 100):.0f}% by the recipes, {100 * left(HEAD, 100):.0f}% by the default",
        ),
        Point(
            "AdaFace: a good sample near its class",
            "T = cos(θ − m ẑ) − m (1 + ẑ)",
            "θ − m ẑ is held in [0.001, π − 0.001]",
            math.isclose(*slopes),
            f"dT/dθ at θ = 10° with ẑ = {z:g}: {slopes[0]:+.2f} by the paper, which pushes the sample away, {slopes[1]:.0f} by "
            "the code",
        ),
        Point(
            "AdaFace: long embeddings",
            "ẑ = h (‖x‖ − μ) / σ, held in [−1, 1]",
            "‖x‖ is held in [0.001, 100], too, and 0.001 is added to σ",
            bool(np.allclose(printed, held)),
            f"lengths of {_listed(norms, 'g')} that alone make μ and σ: ẑ is {_listed(printed, '+.2f')} by the paper, "
            f"{_listed(held, '+.2f')} by the code",
        ),
    ]


def _listed(values: Sequence[float] | Numbers, form: str) -> str:
    return ", ".join(format(value, form) for value in values)


def _on_curricularface() -> list[Point]:
    alpha, mean = CurricularFace().alpha, 0.5
    t = [mean * (1 - left(a, 10)) for a in (alpha, 0.01)]
    none, monotonic = (curves.target_logit(ArcFace(fallback=kind), np.array([165.0]))[0] for kind in ("none", "monotonic"))
    return [
        Point(
            "CurricularFace: the moving average t",
            f"a new batch counts {alpha:g}",
            "0.01, which is right, says an author (issue 8 of the repository)",
            math.isclose(*t),
            f"after 10 batches whose mean cosine is {mean:g}, t is {t[0]:.3f} by the paper, {t[1]:.3f} by the code",
        ),
        Point(
            "CurricularFace: beyond θ = 180° − m",
            "T = cos(θ + m)",
            "T continues as cos θ − m sin m, and other classes are compared with cos(θ + m)",
            math.isclose(none, monotonic),
            f"at 165° T is {none:+.3f} by the paper, {monotonic:+.3f} by the code",
        ),
    ]


# MagFace


def magface_bound(loss: MagFace) -> float:
    """What λ must be at least: s K l² u² / (u² - l²), with K the slope of the margin and l, u the shortest and longest.

    With it a length of l grows whatever the sample: its margin pulls it down by s K (1 - p) sin(θ + m), λ / l² - λ / u² up.
    """
    K = (loss.most - loss.least) / (loss.long - loss.short)
    return loss.scale * K / (1 / loss.short**2 - 1 / loss.long**2)


def _on_magface() -> list[Point]:
    loss, degrees = MagFace(), 100.0
    bound, m = magface_bound(loss), (loss.least + loss.most) / 2
    printed, easy = (curves.target_logit(ArcFace(m=m, fallback=kind), np.array([degrees]))[0] for kind in ("none", "easy"))
    return [
        Point(
            "MagFace: λ",
            f"{loss.lam:g}, and at least s K l² u² / (u² − l²), with K the slope of m(a), and l and u where a is held",
            f"{MAGFACE_CODE:g} by default, {loss.lam:g} in the scripts; it prints the bound, in red where λ is below",
            loss.lam == MAGFACE_CODE,
            f"the bound is {bound:.2f}; with {MAGFACE_CODE:g} an embedding of length {loss.short:g} does not grow where "
            f"(1 − p) sin(θ + m) is above {MAGFACE_CODE / bound:.2f}",
        ),
        Point(
            "MagFace: beyond θ = 90°",
            "T = cos(θ + m) (Eq. 3)",
            "T = cos θ",
            math.isclose(printed, easy),
            f"at {degrees:g}° with the margin in the middle, {m:g}, T is {printed:+.3f} by the paper, {easy:+.3f} by the code",
        ),
    ]


# ElasticFace+


def by_rank(cosine: Numbers, drawn: Numbers) -> Numbers:
    """Margins (N,) as in the paper: the smallest is for the sample nearest to its class, and so on."""
    return np.sort(drawn)[np.argsort(np.argsort(-cosine))]


def by_order(cosine: Numbers, drawn: Numbers) -> Numbers:
    """Margins (N,) as in the code: sample i has the margin whose place is the number of the i-th nearest sample."""
    return np.sort(drawn)[np.argsort(-cosine)]


def elastic_table(cosines: Sequence[float] = (0.6, 0.9, 0.5, 0.8, 0.7), seed: int = 0) -> pd.DataFrame:
    """The margins of a small batch under ElasticFace-Arc+."""
    cosine = np.array(cosines)
    drawn = ElasticFace(sigma=0.0175, seed=seed).draw(len(cosine), 0).numpy()
    lines = [
        (str(i), f"{c:g}", f"{paper:.3f}", f"{code:.3f}")
        for i, (c, paper, code) in enumerate(zip(cosine, by_rank(cosine, drawn), by_order(cosine, drawn), strict=True))
    ]
    return pd.DataFrame(lines, columns=["sample", "cos θ", "margin by the paper", "margin by the code"])


def elastic_agreement(samples: int = 512, batches: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Of random batches, on average: how many samples have the same margin, and how the code's go with the angles.

    Returns: the number, and the correlation of ranks, which is 1 by the paper.
    """
    numbers = np.random.default_rng(seed)
    drawn = np.arange(samples, dtype=np.float64)  # ranks stand for margins
    found = []
    for _ in range(batches):
        cosine = numbers.random(samples)
        paper, code = by_rank(cosine, drawn), by_order(cosine, drawn)
        found.append((np.sum(paper == code), np.corrcoef(paper, code)[0, 1]))
    same, correlation = np.mean(found, axis=0)
    return float(same), float(correlation)


def _on_elasticface() -> Point:
    samples = 512
    same, correlation = elastic_agreement(samples)
    return Point(
        "ElasticFace+: who has which margin",
        "the smallest margin of a batch is for the sample nearest to its class, and so on",
        "sorted margins are taken by the order of the sorted samples instead of by their ranks",
        same == samples,
        f"of {samples} samples {same:.1f} have the same margin, on average; the correlation of the code's margins with the "
        f"angles is {abs(correlation):.2f}",
    )


# SphereFace2 and AdaptiveFace


def sphereface2_pull(loss: SphereFace2, degrees: float = 90.0, classes: int = CLASSES) -> float:
    """By how much the loss of one sample falls with its own cosine, where its bias is as at the beginning."""
    cosine = torch.tensor(math.cos(math.radians(degrees)), dtype=torch.float64, requires_grad=True)
    z = loss.scale * loss.target(cosine) + loss.shared_bias(classes)
    (derivative,) = torch.autograd.grad(loss.losses(z, torch.zeros_like(z)), cosine)
    return -derivative.item()


def _on_sphereface2() -> list[Point]:
    pulls = sphereface2_pull(SphereFace2()), sphereface2_pull(SphereFace2(weight=50.0))
    degrees = np.array([35.0, 90.0, 120.0])
    exact, detached = (slope(SphereFace2(gradient=kind), degrees) for kind in ("exact", "detached"))
    return [
        Point(
            "SphereFace2: the weight of the loss",
            "none (Eq. 8)",
            "50",
            math.isclose(*pulls),
            f"a sample at 90°, where training starts, is pulled with {pulls[0]:.2f} by the paper, {pulls[1]:.1f} by the code",
        ),
        Point(
            "SphereFace2: the gradient of g",
            "that of g (Eq. 7)",
            "that of cos θ",
            bool(np.allclose(exact, detached)),
            f"dg/dcos θ at {_listed(degrees, 'g')}° is {_listed(exact, '.2f')} by the paper, 1 by the code",
        ),
    ]


def _on_adaptiveface() -> list[Point]:
    ours, (theirs, s) = 10.0, FACEX_ZOO
    return [
        Point(
            "AdaptiveFace: λ",
            f"{ours:g}, by what people who tried it say",
            f"{theirs:g}, with s = {s:g} (FaceX-Zoo; in the authors' repository there is no code)",
            None,  # what is printed was not at hand
            f"margins stand still where 1 − p is λ / s on average, {ours / s:.2f} with {ours:g}; with {theirs:g} it is "
            f"{theirs / s:.2f}, so that they grow until they are held",
        ),
        Point(
            "AdaptiveFace: the range of margins",
            "–",
            "they begin in [0.3, 0.4] and are held in [0, 1] (FaceX-Zoo)",
            None,
            f"at 60° a margin of −0.1 would make T {math.cos(math.radians(60)) + 0.1:.1f}, more than cos θ",
        ),
    ]
