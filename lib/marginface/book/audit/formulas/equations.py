"""The papers' numbered equations, each computed and set against what its paper says of it.

Some are checked in full on pages of their own (in `papers`): their claims are
gathered here, and the rest is added. Words in “ ” are a paper's own.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from scipy import special
from scipy.optimize import brentq
from scipy.spatial import ConvexHull
from torch import Tensor

from marginface import reference
from marginface.book.papers.arcface import curves
from marginface.book.papers.iam import gradients
from marginface.book.papers.interface import figure1
from marginface.book.profiles import CLASSES, Profile
from marginface.heads import MarginHead
from marginface.margins import (
    ArcFace,
    CombinedMargin,
    CosFace,
    InterFace,
    Margin,
    NormFace,
    RedefinedArcFace,
    SphereFace,
    WeightNormSoftmax,
)
from marginface.settings import Radians

S, M = 64.0, 0.5
TOLERANCE = 1e-10
SPLITS = ((0.5, 0.0), (0.4, 0.1), (0.3, 0.2), (0.2, 0.3))  # m1 and m2 of InterFace Table I
DEGREES = np.linspace(0, 180, 1801)
BS = tuple(range(10, 61, 10))  # b of InterFace Table V
CLASS_SIZE = round(3.05e6 / 8000)  # of PAM's training set on average (PAM §4.1: "3.05 million", "more than 8,000")


# the losses that train here against the equations, on random embeddings


def literal_table(seed: int = 0) -> pd.DataFrame:
    """The largest relative difference, in loss and gradients, of each loss here from its equation written literally."""
    ref = reference
    pairs: dict[str, tuple[Margin, Callable[[Tensor, Tensor, Tensor], Tensor]]] = {
        "ArcFace Eq. 3": (WeightNormSoftmax(), ref.weight_norm_softmax),
        "ArcFace Eq. 5–6, m = 4, λ = 5": (SphereFace(4, 5), lambda x, W, y: ref.sphereface(x, W, y, 4, 5)),
        "ArcFace Eq. 7, m = 4, λ = 5": (SphereFace(4, 5, scale=S), lambda x, W, y: ref.sphereface(x, W, y, 4, 5, S)),
        "ArcFace Eq. 8, IAM Eq. 5, PAM Eq. 4": (CosFace(S, 0.35), lambda x, W, y: ref.cosface(x, W, y, S, 0.35)),
        "ArcFace Eq. 9, IAM Eq. 6": (ArcFace(S, M), lambda x, W, y: ref.arcface(x, W, y, S, M)),
        "IAM Eq. 3": (NormFace(30.0), lambda x, W, y: ref.normface(x, W, y, 30.0)),
        "InterFace Eq. 2, m = (1, 0.3, 0.2)": (
            CombinedMargin(S, 1, 0.3, 0.2),
            lambda x, W, y: ref.combined_margin(x, W, y, S, 1, 0.3, 0.2),
        ),
        "InterFace Eq. 4, m = (0.3, 0.2)": (RedefinedArcFace(S), lambda x, W, y: ref.redefined_arcface(x, W, y, S, 0.3, 0.2)),
        "InterFace Eq. 5–8, did&dt": (
            InterFace.did_dt(detach=False),
            lambda x, W, y: ref.interface(x, W, y, S, M, 0.1, 0, math.radians(10), None),
        ),
    }
    lines = []
    for name, (margin, literal) in pairs.items():
        x, W, y = _batch(seed)
        head = MarginHead(x.shape[1], len(W), margin).double()
        head.weight.data = W.clone()
        ours = _value_and_gradients(head(x, y), x, head.weight)
        W.requires_grad_()
        theirs = _value_and_gradients(literal(x, W, y), x, W)
        errors = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True)]
        lines.append((name, *(f"{error:.0e}" for error in errors)))
    return pd.DataFrame(lines, columns=["equation", "loss", "gradient by x", "gradient by W"])


def special_case_error(printed: Margin, meant: Margin, up_to: float = 180.0) -> float:
    """The largest difference of two targets T(θ), at angles up to `up_to` degrees."""
    degrees = DEGREES[up_to >= DEGREES]
    return float(np.abs(curves.target_logit(printed, degrees) - curves.target_logit(meant, degrees)).max())


# InterFace Eq. 4


def side_changes(m1: float, m2: float, apart: float = 0.0) -> float:
    """The share of pairs of angles that are on another side of Eq. 4's boundary than of ArcFace's with m1 + m2.

    Of pairs (θ_y, θ_j) that two classes at least `apart` (radians) from each other can have, with θ_y up to 180° - m, where
    ArcFace's own boundary ends. Pairs that are on a boundary to rounding do not count.
    """
    own, other = (torch.from_numpy(np.radians(a)) for a in np.meshgrid(np.arange(0.25, 180, 0.5), np.arange(0.5, 180, 0.5)))
    plain = torch.cos(own + m1 + m2) - torch.cos(other)
    redefined = torch.cos(own + m1) - torch.cos(other - m2)
    counted = (own <= math.pi - m1 - m2) & (own + other >= apart) & (plain.abs() > 1e-9) & (redefined.abs() > 1e-9)
    return float(((plain > 0) != (redefined > 0))[counted].double().mean())


def loss_at(margin: Margin, degrees: np.ndarray, classes: int = CLASSES, others_at: float = 90.0) -> np.ndarray:
    """The loss of a sample at these angles to its class, with all other classes at one angle."""
    assert margin.scale is not None
    rest = margin.scale * float(margin.others(torch.tensor([math.cos(math.radians(others_at))], dtype=torch.float64)))
    return np.logaddexp(0, rest + math.log(classes - 1) - margin.scale * curves.target_logit(margin, degrees))


def splits_table(degrees: tuple[float, ...] = (40, 50, 60, 70), others_at: float = 80.0) -> pd.DataFrame:
    """The splits of Table I: what is the same for all of them, and what is not."""
    lines = []
    for m1, m2 in SPLITS:
        margin = RedefinedArcFace(S, m1, m2)
        edge = 50 - math.degrees(m1 + m2) / 2  # where θ_y + m = θ_j for class weights 100° apart
        gap = _gap(margin, np.array([edge - 1, edge, edge + 1]), 100.0)
        losses = loss_at(margin, np.array(degrees), others_at=others_at)
        turn = Profile(margin).gradients(np.array([60.0]))[1][0]
        lines.append((m1, m2, f"{gap[1]:+.3f}", f"{(gap[0] - gap[2]) / 2:.3f}", *(f"{v:.3f}" for v in losses), f"{turn:.2f}"))
    return pd.DataFrame(
        lines,
        columns=[
            "m1",
            "m2",
            "two classes: z₁ − z₂ on ArcFace's boundary",
            "its slope there, per degree",
            *(f"loss at θ = {d:g}°" for d in degrees),
            "gradient at 60°",
        ],
    )


def split_difference(m1: float, m2: float, seed: int = 0) -> tuple[float, float]:
    """How far Eq. 4 is from ArcFace with m1 + m2 on random embeddings: relative, in the loss and in the gradient by x."""
    found = []
    for margin in (RedefinedArcFace(S, m1, m2), ArcFace(S, m1 + m2)):
        x, W, y = _batch(seed, samples=64, classes=100, dim=32)
        head = MarginHead(32, 100, margin).double()
        head.weight.data = W
        found.append(_value_and_gradients(head(x, y), x, head.weight))
    (loss, gradient, _), (plain, plain_gradient, _) = found
    return float((loss - plain).abs() / plain), float((gradient - plain_gradient).norm() / plain_gradient.norm())


def _gap(margin: Margin, own: np.ndarray, between: float) -> np.ndarray:
    """z_y - z_j of a sample between two class weights, `own` degrees from its own."""
    one, two = (torch.from_numpy(np.cos(np.radians(a))) for a in (own, between - own))
    return (S * (margin.target(one) - margin.others(two))).numpy()


# InterFace Eq. 5-8


def gamma_printed(z: Tensor, w_y: Tensor, w_j: Tensor) -> Tensor:
    """Eq. 5 to the letter: the arccos of products of lengths, without a scalar product."""
    norm = reference.norm
    return torch.arccos(norm(z) * norm(w_y)) / torch.arccos(norm(w_y) * norm(w_j))


def gamma_table(degrees: tuple[float, ...] = (20, 40, 60), between: float = 90.0) -> pd.DataFrame:
    """γ for a sample at these angles, by the letter of Eq. 5 for several lengths, and as a ratio of angles."""
    lines = []
    for length_x, length_w in ((1.0, 1.0), (20.0, 1.0), (0.5, 0.5)):
        row = []
        for angle in degrees:
            row.append(_number(gamma_printed(length_x * _unit(angle), length_w * _unit(0), length_w * _unit(between))))
        lines.append((f"as printed, ‖z‖ = {length_x:g}, ‖W‖ = {length_w:g}", *row))
    angles = [_number(reference.interface_gamma(_unit(a), _unit(0), torch.tensor(math.radians(between)))) for a in degrees]
    lines.append(("read as angles", *angles))
    return pd.DataFrame(lines, columns=[f"γ, weights {between:g}° apart", *(f"θ = {a:g}°" for a in degrees)])


def turning_angle(margin: InterFace, between: float = 90.0) -> float:
    """The angle in degrees below which f as printed is positive."""
    f = figure1.shift_degrees(replace(margin, sign="paper"), DEGREES, between)
    return float(DEGREES[f <= 1e-12].min(initial=180.0))


def spread_over_classes(margin: InterFace, own: float = 40.0, classes: int = 50, dim: int = 8, seed: int = 0) -> float:
    """The largest f less the smallest, in radians, of one sample `own` degrees from its class, over random other classes."""
    numbers = np.random.default_rng(seed)
    weights = numbers.standard_normal((classes, dim))
    between = np.degrees(np.arccos(weights[:, 0] / np.linalg.norm(weights, axis=1)))  # of each to the own class, the first axis
    f = [figure1.shift_degrees(margin, np.array([own]), float(angle))[0] for angle in between]
    return float(np.radians(np.ptp(f)))


def b_effect(unit: str, between: float = 90.0) -> float:
    """The largest difference of f between any two of Table V's b in "degrees" or "radians", as a share of α."""
    values = [
        figure1.shift_degrees(InterFace.did_dt(b=math.radians(b) if unit == "degrees" else Radians(b)), DEGREES, between)
        for b in BS
    ]
    return float(np.radians(np.ptp(np.stack(values), axis=0).max())) / InterFace.did_dt().alpha


# ArcFace §2.8


def arcface_angles(m: float = M, m_cosface: float = 0.35) -> tuple[float, float, float]:
    """Where cos(θ + m) turns, and the two angles where it crosses cos θ - m_cosface. Degrees.

    The difference cos θ - m_cosface - cos(θ + m) is largest where its derivative is 0, at θ = π/2 - m/2.
    """
    top = math.pi / 2 - m / 2

    def below(theta: float) -> float:
        return math.cos(theta) - m_cosface - math.cos(theta + m)

    low, high = brentq(below, 0, top), brentq(below, top, math.pi - m)
    return 180 - math.degrees(m), math.degrees(low), math.degrees(high)


def angles_table() -> pd.DataFrame:
    """The angles of `arcface_angles` beside those that ArcFace §2.8 prints."""
    names = (
        "ArcFace's curve turns",
        "below CosineFace's from",
        "below CosineFace's up to (the paper looks no further than 90°)",
    )
    printed = ("151.35°", "30°", "90°")
    lines = [(name, text, f"{angle:.4f}°") for name, text, angle in zip(names, printed, arcface_angles(), strict=True)]
    return pd.DataFrame(lines, columns=["ArcFace with m = 0.5, CosineFace with m = 0.35", "printed", "computed"])


# IAM Eq. 13 on Eq. 5


def error_with_margin(s: float, m: float, beta: float, which: str, seed: int = 0) -> float:
    """How far Eq. 13 is from the gradient of Eq. 5 with β times Eq. 7, for single samples. A relative error.

    Arguments: which: "one p", that of Eq. 5 in both terms, or "two p", that of Eq. 7, without the margin, in the second.
    """
    batch = gradients.random_batch(seed=seed)
    errors = []
    for x, y in zip(batch.x, batch.y.tolist(), strict=True):
        W = batch.W.clone().requires_grad_()
        z = s * (W @ x)
        others = z[torch.arange(len(z)) != y].logsumexp(dim=0)
        gap = z[y] - s * m - others
        loss = -torch.nn.functional.logsigmoid(gap) + beta * torch.nn.functional.logsigmoid(others - z[y])
        (exact,) = torch.autograd.grad(loss, W)
        p, plain = torch.sigmoid(gap.detach()), torch.sigmoid((z[y] - others).detach())
        second = p if which == "one p" else plain
        errors.append(float((-s * x * (1 - p + beta * second) - exact[y]).abs().max() / exact[y].abs().max()))
    return max(errors)


def trends_with_margin(s: float = 30.0, m: float = 0.4, classes: int = gradients.CASIA_CLASSES) -> tuple[bool, bool]:
    """Whether Eq. 13 on Eq. 5 pulls at every angle and β, and whether it grows with the angle at β = 0 and falls at β = 2."""
    degrees = np.linspace(0, 180, 721)
    rest = math.log(classes - 1)  # all other classes at 90°
    p, plain = (special.expit(s * (np.cos(np.radians(degrees)) - shift) - rest) for shift in (m, 0.0))
    sizes = {beta: 1 - p + beta * plain for beta in (0.0, 0.5, 1.0, 2.0)}
    ends = [sizes[beta][-1] - sizes[beta][0] for beta in (0.0, 2.0)]
    return all(bool((size > 0).all()) for size in sizes.values()), ends[0] > 0 > ends[1]


# PAM §3


def adjacent_pairs(classes: int = 12, draws: int = 20, seed: int = 0) -> tuple[int, int, int]:
    """Pairs of classes whose cells touch: the fewest of random draws on a sphere, those on a circle, and how many classes.

    On a sphere, cells touch where their centres are joined by an edge of the convex hull.
    """
    numbers = np.random.default_rng(seed)
    counts = []
    for _ in range(draws):
        points = numbers.standard_normal((classes, 3))
        faces = ConvexHull(points / np.linalg.norm(points, axis=1, keepdims=True)).simplices
        counts.append(len({tuple(sorted(pair)) for face in faces for pair in combinations(face.tolist(), 2)}))
    around = np.sort(numbers.uniform(0, 2 * np.pi, classes))
    hull = ConvexHull(np.stack([np.cos(around), np.sin(around)], axis=1))
    return min(counts), len(hull.simplices), classes


# PAM Eq. 8-9


def text_of_eq9(R: float, cosine: float, beta: float) -> tuple[float, float]:
    """R after one sample that is nearer than R: by Eq. 9, and by the sentence under it, a decrease of β cos."""
    delta = reference.pam_delta(torch.tensor(cosine, dtype=torch.float64), torch.tensor(R, dtype=torch.float64), beta)
    return R + float(delta), R - beta * cosine


def learned_range(samples: int = CLASS_SIZE, epochs: int = 20, beta: float = 0.01, seed: int = 0) -> tuple[float, float]:
    """R(j) of Eq. 8-9, mean over the second half of training, and the real one, of a class that does not move.

    The samples are at angles of 40° ± 8° to its weight (a normal distribution).
    """
    numbers = np.random.default_rng(seed)
    cosines = np.cos(np.radians(40 + 8 * numbers.standard_normal(samples)))
    R, trace = 1.0, []
    for _ in range(epochs):
        for cosine in numbers.permutation(cosines):
            R += (cosine - R) if cosine < R else beta * (cosine - R)
            trace.append(R)
    return float(np.mean(trace[len(trace) // 2 :])), float(cosines.min())


def _batch(seed: int, samples: int = 6, classes: int = 5, dim: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, dim, generator=generator, dtype=torch.float64).requires_grad_()
    W = torch.randn(classes, dim, generator=generator, dtype=torch.float64)
    return x, W, torch.randint(classes, (samples,), generator=generator)


def _value_and_gradients(loss: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, ...]:
    return (loss.detach(), *torch.autograd.grad(loss, (x, W)))


def _unit(degrees: float) -> Tensor:
    angle = math.radians(degrees)
    return torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)


def _number(value: Tensor) -> str:
    return f"{value.item():.3f}" if bool(value.isfinite()) else "not defined"
