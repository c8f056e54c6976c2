"""PAM Figure 1: target areas of two classes in the plane, the real margin between them, and Eq. 10."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from marginface import reference
from marginface.adjacent import PAM, nearest_neighbours
from marginface.book.items import Item
from marginface.book.verdicts import Claim
from marginface.margins import ArcFace, CosFace, Margin, NormFace
from marginface.settings import first

CIRCLE = np.linspace(0, 360, 3600, endpoint=False)  # directions in the plane, degrees


@dataclass(frozen=True)
class Plane:
    """Two class weights in the plane, symmetric about 90°, and samples around each. Directions in degrees."""

    weights: tuple[float, float]
    samples: tuple[np.ndarray, np.ndarray]


def plane(apart: float = 100.0, spread: float = 11.0, samples: int = 40, seed: int = 1) -> Plane:
    """Samples drawn from a normal distribution of directions around each weight."""
    one, two = 90 + apart / 2, 90 - apart / 2
    numbers = np.random.default_rng(seed)
    return Plane((one, two), (one + spread * numbers.standard_normal(samples), two + spread * numbers.standard_normal(samples)))


def target_area(margin: Margin, own: float, other: float, directions: np.ndarray = CIRCLE) -> np.ndarray:
    """Which directions belong to a class: those where T of the angle to its weight is at least U of that to the other's.

    The boundary itself counts. Norms are equal and biases 0, as in the figure.
    """
    cosine, others = (torch.from_numpy(np.cos(np.radians(directions - weight))) for weight in (own, other))
    return (margin.target(cosine) >= margin.others(others) - 1e-12).numpy()


def boundary(margin: Margin, own: float, other: float) -> float:
    """The boundary of a class between the two weights, in degrees: the last direction that is its own. By bisection."""
    near, far = own, other
    if not target_area(margin, own, other, np.array([near])).all():
        raise ValueError(f"{margin} leaves no target area to classes that are {abs(own - other):g}° apart")
    for _ in range(60):
        middle = (near + far) / 2
        inside = bool(target_area(margin, own, other, np.array([middle])).all())
        near, far = (middle, far) if inside else (near, middle)
    return near


def class_ranges(x: Tensor, y: Tensor, W: Tensor) -> Tensor:
    """R(j) of every class: the cosine between its weight and its farthest sample. Shape (C,)."""
    cosine = F.normalize(x) @ F.normalize(W).T
    return torch.stack([cosine[y == j, j].min() for j in range(len(W))])


def real_margin(x: Tensor, y: Tensor, W: Tensor) -> float:
    """θ_12 in degrees: the angle between two weights less the angles to both classes' farthest samples."""
    edges = torch.arccos(class_ranges(x, y, W).clamp(-1, 1))
    between = torch.arccos((F.normalize(W[:1]) * F.normalize(W[1:2])).sum().clamp(-1, 1))
    return math.degrees(float(between - edges[0] - edges[1]))


def nearest_samples(x: Tensor, y: Tensor) -> float:
    """The smallest angle between a sample of class 0 and one of class 1, in degrees."""
    cosine = F.normalize(x[y == 0]) @ F.normalize(x[y == 1]).T
    return math.degrees(math.acos(min(1.0, float(cosine.max()))))


def as_tensors(drawn: Plane) -> tuple[Tensor, Tensor, Tensor]:
    """x, y and W of samples in the plane."""
    degrees = torch.from_numpy(np.concatenate(drawn.samples))
    y = torch.arange(2).repeat_interleave(torch.tensor([len(group) for group in drawn.samples]))
    return _unit(degrees), y, _unit(torch.tensor(drawn.weights, dtype=torch.float64))


def in_dimension(dim: int, apart: float = 90.0, angle: float = 40.0, samples: int = 40, seed: int = 0) -> tuple[Tensor, ...]:
    """x, y and W of two classes on a sphere of any dimension, samples all around and up to some angle from their weight."""
    generator = torch.Generator().manual_seed(seed)
    W = torch.zeros(2, dim, dtype=torch.float64)
    W[:, 0] = 1.0
    W[1, :2] = torch.tensor([math.cos(math.radians(apart)), math.sin(math.radians(apart))])
    y = torch.arange(2).repeat_interleave(samples)
    sideways = torch.randn(2 * samples, dim, generator=generator, dtype=torch.float64)
    sideways = F.normalize(sideways - (sideways * W[y]).sum(dim=1, keepdim=True) * W[y])
    away = torch.linspace(angle / 2, angle, samples, dtype=torch.float64).deg2rad().repeat(2)[:, None]
    return away.cos() * W[y] + away.sin() * sideways, y, W


def margins(m_cosface: float, m_arcface: float) -> dict[str, Margin]:
    """The losses of parts (a) and (b)."""
    return {"Softmax": NormFace(), "AM-Softmax": CosFace(m=m_cosface), "ArcFace": ArcFace(m=m_arcface)}


def margins_table(drawn: Plane, losses: dict[str, Margin]) -> pd.DataFrame:
    """The margin between the target areas of every loss, and the one between the samples."""
    one, two = drawn.weights
    lines = []
    for name, margin in losses.items():
        width = abs(boundary(margin, one, two) - boundary(margin, two, one))
        lines.append((f"{name}: between the boundaries", f"{width:.2f}°"))
    x, y, W = as_tensors(drawn)
    lines.append(("samples: θ₁₂, between the class edges", f"{real_margin(x, y, W):.2f}°"))
    lines.append(("samples: between the nearest two of different classes", f"{nearest_samples(x, y):.2f}°"))
    return pd.DataFrame(lines, columns=["margin", "in this plane"])


def angles_in_dimension(dim: int, seeds: int = 20) -> tuple[float, float]:
    """θ_12 and the angle between the nearest samples of two classes in so many dimensions, in degrees, mean over draws."""
    draws = [in_dimension(dim, seed=seed) for seed in range(seeds)]
    theta = [real_margin(*draw) for draw in draws]
    return float(np.mean(theta)), float(np.mean([nearest_samples(x, y) for x, y, _ in draws]))


def dimensions_table(dims: tuple[int, ...] = (2, 3, 16, 128, 512), seeds: int = 20) -> pd.DataFrame:
    """θ_12 beside the angle between the nearest samples, mean over draws, as the dimension grows."""
    lines = [(dim, *(f"{angle:.1f}°" for angle in angles_in_dimension(dim, seeds))) for dim in dims]
    return pd.DataFrame(lines, columns=["dimensions", "θ₁₂", "nearest samples"])


def eq10_errors(step: float = 5.0) -> dict[str, tuple[float, tuple[float, float, float]]]:
    """The largest error of each form of Eq. 10 against cos(θ - θ_i - θ_j) on a grid, and where: θ, θ_i, θ_j in degrees."""
    axes = (torch.arange(0, stop + step / 2, step, dtype=torch.float64) for stop in (180, 90, 90))
    theta, theta_i, theta_j = torch.meshgrid(*axes, indexing="ij")
    exact = (theta - theta_i - theta_j).deg2rad().cos()
    found = {}
    for name, value in _forms(theta, theta_i, theta_j).items():
        error = (value - exact).abs()
        where = int(error.argmax())
        found[name] = (float(error.max()), tuple(float(axis.flatten()[where]) for axis in (theta, theta_i, theta_j)))
    return found  # type: ignore[return-value]


def eq10_table(theta: float = 80.0, theta_i: float = 25.0, theta_j: float = 25.0) -> pd.DataFrame:
    """The errors, and the angle θ_ij that each form gives for one triple of angles in degrees."""
    angles = [torch.tensor(angle, dtype=torch.float64) for angle in (theta, theta_i, theta_j)]
    lines = []
    values = _forms(*angles)
    for name, (error, where) in eq10_errors().items():
        value = float(values[name])
        angle = f"θᵢⱼ = {math.degrees(math.acos(value)):.1f}°" if abs(value) <= 1 else "no angle"
        place = "θ = {:.0f}°, θᵢ = {:.0f}°, θⱼ = {:.0f}°".format(*where) if error > 1e-6 else ""
        lines.append((name, f"{error:.2g}", place, f"cos θᵢⱼ = {value:.3f}, {angle}"))
    example = f"at θ = {theta:g}°, θᵢ = {theta_i:g}°, θⱼ = {theta_j:g}°, where θᵢⱼ is {theta - theta_i - theta_j:g}°"
    return pd.DataFrame(lines, columns=["Eq. 10", "largest error", "where", example])


def figure1_claims(drawn: Plane, losses: dict[str, Margin]) -> list[Claim]:
    """What §3 says of the figure, and of Eq. 10."""
    one, two = drawn.weights
    gap = {name: boundary(margin, one, two) - boundary(margin, two, one) for name, margin in losses.items()}
    shared = np.mean(target_area(losses["Softmax"], one, two) | target_area(losses["Softmax"], two, one))
    cosface, arcface = losses["AM-Softmax"], losses["ArcFace"]
    assert isinstance(cosface, CosFace)
    assert isinstance(arcface, ArcFace)
    residual = _residual(cosface, one, two)
    x, y, W = as_tensors(drawn)
    theta, nearest = angles_in_dimension(512)
    errors = {name: error for name, (error, _) in eq10_errors().items()}
    printed = [error for name, error in errors.items() if name.startswith("as printed")]
    return [
        Claim(
            "with Softmax both classes share one boundary, without a margin",
            "§3, Figure 1 (a)",
            abs(gap["Softmax"]) < 1e-6 and shared == 1,
            f"{abs(gap['Softmax']):.2f}° between their boundaries; {shared:.0%} of the directions belong to a class",
        ),
        Claim(
            "with AM-Softmax W₁ᵀd₁ − m = W₂ᵀd₁ and W₂ᵀd₂ − m = W₁ᵀd₂",
            "§3, Figure 1 (b)",
            residual < 1e-9,
            f"both to {residual:.0e}; {gap['AM-Softmax']:.2f}° between the boundaries at m = {cosface.m:g}",
        ),
        Claim(
            "with ArcFace m = θ₂ − θ₁, which is the angle of the margin",
            "§3, Figure 1 (b)",
            abs(gap["ArcFace"] - math.degrees(first(arcface.m))) < 1e-6,
            f"{gap['ArcFace']:.2f}° between the boundaries, m is {math.degrees(first(arcface.m)):.2f}°",
        ),
        Claim(
            "θ₁₂, which the paper calls the “real margin between the different classes in the training set” and defines "
            "by the class "
            "ranges, is smaller than the angle between the nearest samples",
            "§3, Figure 1 (c)",
            real_margin(x, y, W) <= nearest_samples(x, y) and theta < nearest,
            f"here {real_margin(x, y, W):.1f}° and {nearest_samples(x, y):.1f}°; in 512 dimensions {theta:.1f}° and "
            f"{nearest:.1f}°",
            "observation",
        ),
        Claim(
            "Eq. 10 as printed is cos(θ − θᵢ − θⱼ), wherever its bracket is closed",
            "Eq. 10",
            min(printed) < 1e-10,
            "largest error " + " or ".join(f"{error:.2f}" for error in printed) + f", corrected {errors['corrected']:.0e}",
            "misprint",
        ),
    ]


def _forms(theta: Tensor, theta_i: Tensor, theta_j: Tensor) -> dict[str, Tensor]:
    """Eq. 10 in its forms, at angles in degrees."""
    cosine, R_i, R_j = (angle.deg2rad().cos() for angle in (theta, theta_i, theta_j))
    return {
        "as printed, bracket closed after the first root": reference.pam_eq10_printed(cosine, R_i, R_j),
        "as printed, bracket closed at the end": reference.pam_eq10_printed(cosine, R_i, R_j, bracket="end"),
        "corrected": reference.pam_eq10(cosine, R_i, R_j),
    }


def _residual(margin: CosFace, one: float, two: float) -> float:
    """By how much the printed equations of AM-Softmax's boundaries miss at the boundaries that `margin` has."""
    W1, W2 = _unit(torch.tensor([one, two], dtype=torch.float64))
    d1, d2 = _unit(torch.tensor([boundary(margin, one, two), boundary(margin, two, one)], dtype=torch.float64))
    return max(abs(float(W1 @ d1 - margin.m - W2 @ d1)), abs(float(W2 @ d2 - margin.m - W1 @ d2)))


def _unit(degrees: Tensor) -> Tensor:
    return torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], dim=1)


def repeats_table(R: float = 0.9, cosines: tuple[float, ...] = (0.2, 0.1, 0.3)) -> pd.DataFrame:
    """The range of a class after a batch in which it occurs several times, in each reading of Eq. 8."""
    lines = []
    for name, how in (("as printed, before it is cut off", None), ("sum", "sum"), ("lowest", "lowest"), ("mean", "mean")):
        if how is None:
            literal = reference.pam_update(torch.tensor([R]), torch.tensor(cosines), torch.zeros(len(cosines)), 0.01)
            lines.append((name, f"{literal[0].item():.2f}"))
        else:
            loss = PAM(1.0, repeats=how)  # type: ignore[arg-type]
            loss.bind(2, 2)
            loss.R.fill_(R)
            loss.update(torch.tensor(cosines), torch.zeros(len(cosines), dtype=torch.int64))
            lines.append((f'repeats="{name}"', f"{loss.R[0].item():.2f}"))
    return pd.DataFrame(lines, columns=["reading", "R after the batch"])


def include_self_table(classes: int = 50, dim: int = 8, R: float = 0.95) -> pd.DataFrame:
    """How many of the pairs that version 2 finds are of a class with itself, and the loss."""
    W = torch.randn(classes, dim, generator=torch.Generator().manual_seed(0))
    lines = []
    for include_self in (False, True):
        loss = PAM(1.0, version=2, include_self=include_self)
        loss.bind(dim, classes)
        loss.R.fill_(R)
        i, j = nearest_neighbours(W, loss.R, include_self)
        own = float((i == j).double().mean())
        lines.append((f"include_self={include_self}", f"{own:.0%}", f"{loss.penalty(W).item():.3f}"))
    return pd.DataFrame(lines, columns=["reading", "pairs of a class with itself", "loss"])


def neighbours_found(classes: int = 50, dim: int = 8, R: float = 0.95) -> tuple[bool, float]:
    """Whether Eq. 7 as printed has all nearest neighbours among its pairs, and the share that is of a class with itself."""
    W = F.normalize(torch.randn(classes, dim, generator=torch.Generator().manual_seed(0)))
    i, j = nearest_neighbours(W, torch.full((classes,), R), include_self=True)
    nearest = (W @ W.T).fill_diagonal_(-1).argmax(dim=1)  # all ranges are alike
    return set(enumerate(nearest.tolist())) <= set(zip(i.tolist(), j.tolist(), strict=True)), float((i == j).double().mean())


FIGURE1 = Item(
    "PAM",
    "Figure 1",
    notebook="pam/figure1",
    parameters={"m_cosface": 0.3, "m_arcface": 0.5, "apart": 100.0, "spread": 11.0},
    statements=lambda p: figure1_claims(plane(p.apart, p.spread), margins(p.m_cosface, p.m_arcface)),
)
