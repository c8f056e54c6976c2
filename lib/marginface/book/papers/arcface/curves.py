"""ArcFace (v1 of 2018): the target-logit curves of Figure 4 (a), and the two-class boundaries of Table 1 and Figure 3."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from marginface import reference
from marginface.book.items import Item
from marginface.book.verdicts import Claim
from marginface.heads import MarginHead
from marginface.margins import ArcFace, CosFace, Margin, Softmax, SphereFace, WeightNormSoftmax
from marginface.settings import first

DEGREES = np.linspace(0, 180, 18_001)
ROUGHLY = 1.0  # degrees; "30° and 60° here are the roughly estimated thresholds" (§2.8)


def figure4(m_arcface: float = 0.5, m_cosface: float = 0.35) -> dict[str, Margin]:
    """The losses of Figure 4 (a)."""
    return {
        "Softmax": Softmax(),
        "SphereFace (m=4, λ=5)": SphereFace(m=4, lam=5),
        "SphereFace (m=1.5, λ=0)": SphereFace(m=1.5),
        "SphereFace (m=2, λ=0)": SphereFace(m=2),
        f"CosineFace (m={m_cosface:g})": CosFace(m=m_cosface),
        f"ArcFace (m={m_arcface:g})": ArcFace(m=m_arcface),
    }


def target_logit(margin: Margin, degrees: np.ndarray = DEGREES) -> np.ndarray:
    """T(θ), the target logit over its scale, at angles in degrees."""
    return margin.target(torch.from_numpy(np.cos(np.radians(degrees)))).numpy()


def figure4_claims(losses: dict[str, Margin]) -> list[Claim]:
    """What §2.6 and §2.8 say of Figure 4 (a), each decided on the curves themselves.

    Arguments: losses: as `figure4` gives them; with other margins than the paper's, its sentences may turn out false.
    """
    curves = {name: target_logit(margin) for name, margin in losses.items()}
    softmax, *_, cosface, arcface = curves.values()
    *_, margin = losses.values()
    assert isinstance(margin, ArcFace)
    return _claims_on_shape(softmax, cosface, arcface, math.degrees(first(margin.m))) + _claims_on_order(curves)


def _claims_on_shape(softmax: np.ndarray, cosface: np.ndarray, arcface: np.ndarray, m: float) -> list[Claim]:
    within = 180 - m >= DEGREES
    drop = np.ptp(softmax - cosface)
    shift = np.abs(arcface - target_logit(Softmax(), DEGREES + m))[within].max()
    rises = np.diff(arcface) > 0
    return [
        Claim(
            "cos(θ + m) is lower than cos θ for θ in [0, π - m]",
            "§2.6",
            bool(np.all(arcface[within] < softmax[within])),
            f"lower {_span(arcface < softmax)}; π - m is {180 - m:.2f}°",
        ),
        Claim(
            "CosineFace moves the curve along the y-axis",
            "§2.8",
            bool(drop < 1e-12 and np.all(cosface < softmax)),
            f"cos θ - T(θ) is {np.mean(softmax - cosface):.2f} at every θ",
        ),
        Claim(
            "ArcFace moves the curve along the x-axis",
            "§2.8",
            bool(shift < 1e-12),
            f"T(θ) is the softmax's curve at θ + {m:.2f}°",
        ),
        Claim(
            "ArcFace's curve rises for θ > 151.35°",
            "§2.8",
            bool(np.array_equal(rises, DEGREES[:-1] >= 151.35)),
            f"its minimum is at {DEGREES[arcface.argmin()]:.2f}°",
        ),
    ]


def _claims_on_order(curves: dict[str, np.ndarray]) -> list[Claim]:
    softmax, sphere, similar, sphere2, cosface, arcface = curves.values()
    easy, hard = DEGREES < 30, (DEGREES >= 60) & (DEGREES <= 90)
    semi = (DEGREES >= 30 + ROUGHLY) & (DEGREES <= 60 - ROUGHLY)
    below = arcface < cosface
    ordered = (softmax > sphere) & (sphere > cosface) & (cosface > arcface)
    distance = {name: np.abs(sphere - curve) for name, curve in curves.items() if curve is not sphere}
    mean = {name: float(apart[DEGREES <= 90].mean()) for name, apart in distance.items()}
    nearest = sorted(mean, key=mean.__getitem__)
    reach = [f"{np.abs(sphere - similar)[angle >= DEGREES].max():.2f} up to {angle}°" for angle in (45, 60, 90)]
    runner_up = np.min([curve for curve in curves.values() if curve is not sphere2], axis=0)
    return [
        Claim(
            "“the target logit curve of ArcFace is lower than that of CosineFace between 30° to 90°” (read as: to a degree)",
            "§2.8",
            bool(np.all(below[(DEGREES >= 30 + ROUGHLY) & (DEGREES <= 90 - ROUGHLY)])),
            f"lower {_span(below)}",
        ),
        Claim(
            "CosineFace is stricter than ArcFace for θ < 30°",
            "§2.8",
            bool(np.all(cosface[easy] < arcface[easy])),
            f"its curve is lower by up to {(arcface - cosface)[easy].max():.3f}",
        ),
        Claim(
            "m=4, λ=5 “is similar to the curve with m = 1.5 and λ = 0” (read as: of the curves drawn, the nearest to it "
            "on average "
            "up to 90°)",
            "§2.8",
            nearest[0] == "SphereFace (m=1.5, λ=0)",
            "mean distance: " + ", ".join(f"{name} {mean[name]:.2f}" for name in nearest) + "; at most " + ", ".join(reach),
        ),
        Claim(
            "between 30° and 60° the curves rank Softmax, SphereFace, CosineFace, ArcFace, from the top (read as: to a degree)",
            "§2.8",
            bool(np.all(ordered[semi])),
            f"so ranked {_span(ordered)}",
        ),
        Claim(
            "SphereFace (m=2, λ=0) has the largest penalty between 60° and 90°",
            "§2.8",
            bool(np.all(sphere2[hard] < runner_up[hard])),
            f"lower than every other curve by at least {(runner_up - sphere2)[hard].min():.2f}",
        ),
    ]


def _span(where: np.ndarray) -> str:
    """The smallest and largest angle at which something is so, in words."""
    return f"between {DEGREES[where].min():.2f}° and {DEGREES[where].max():.2f}°" if where.any() else "nowhere"


@dataclass(frozen=True)
class Boundary:
    """A row of Table 1: the boundary for class 1 as printed, the margin that trains, and the literal equation."""

    printed: str
    margin: Margin
    literal: Callable[[Tensor, Tensor], Tensor]  # of θ1 and θ2; for ‖x‖ = 1 where the margin keeps norms
    applies_to: float = 180.0  # the largest θ1 in degrees for which the paper gives the equation


def table1(m_sphere: float = 2, m_cos: float = 0.35, m_arc: float = 0.5, s: float = 64.0) -> dict[str, Boundary]:
    """The angular rows of Table 1. The paper prints no m for SphereFace here; 2 keeps its margin visible."""
    sphere = 180 / m_sphere
    return {
        "W-Norm Softmax": Boundary(
            "‖x‖(cos θ₁ − cos θ₂) = 0",
            WeightNormSoftmax(),
            lambda t1, t2: reference.boundary_weight_norm_softmax(1, t1, t2),
        ),
        "SphereFace": Boundary(
            "‖x‖(cos mθ₁ − cos θ₂) = 0",
            SphereFace(m_sphere),
            lambda t1, t2: reference.boundary_sphereface(1, m_sphere, t1, t2),
            sphere,
        ),
        "F-Norm SphereFace": Boundary(
            "s(cos mθ₁ − cos θ₂) = 0",
            SphereFace(m_sphere, scale=s),
            lambda t1, t2: reference.boundary_sphereface(s, m_sphere, t1, t2),
            sphere,
        ),
        "CosineFace": Boundary(
            "s(cos θ₁ − m − cos θ₂) = 0",
            CosFace(s, m_cos),
            lambda t1, t2: reference.boundary_cosineface(s, m_cos, t1, t2),
        ),
        "ArcFace": Boundary(
            "s(cos(θ₁ + m) − cos θ₂) = 0",
            ArcFace(s, m_arc),
            lambda t1, t2: reference.boundary_arcface(s, m_arc, t1, t2),
        ),
    }


def boundary_angle(margin: Margin, theta2: np.ndarray) -> np.ndarray:
    """The θ1 on class 1's side of the boundary for every θ2, in degrees; NaN where no θ1 reaches it.

    A sample is on the boundary where T(θ1) = U(θ2). T falls from θ = 0 to its minimum, and is inverted there.
    """
    T = target_logit(margin)
    falling = slice(T.argmin(), None, -1)
    U = margin.others(torch.from_numpy(np.cos(np.radians(theta2)))).numpy()
    return np.interp(U, T[falling], DEGREES[falling], left=np.nan, right=np.nan)


def table1_agreement(boundary: Boundary) -> float:
    """The largest difference between the printed left-hand side and s(T(θ1) - U(θ2)) of the margin that trains."""
    theta1, theta2 = np.meshgrid(np.linspace(0, boundary.applies_to, 181), np.linspace(0, 180, 181))
    one, two = torch.from_numpy(np.radians(theta1)), torch.from_numpy(np.radians(theta2))
    margin = boundary.margin
    ours = (margin.scale or 1.0) * (margin.target(one.cos()) - margin.others(two.cos()))
    return float((ours - boundary.literal(one, two)).abs().max())


def softmax_agreement(seed: int = 0) -> float:
    """The same for Table 1's first row, which is no function of angles: on random x, W and b, through `MarginHead`."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(100, 8, generator=generator, dtype=torch.float64)
    head = MarginHead(8, 2, Softmax()).double()
    assert head.bias is not None
    with torch.no_grad():
        head.bias.copy_(torch.randn(2, generator=generator))
        logits = head.logits(x)
        W, b = head.weight, head.bias
        literal = torch.stack([reference.boundary_softmax(row, W[0], W[1], float(b[0]), float(b[1])) for row in x])
    return float((logits[:, 0] - logits[:, 1] - literal).abs().max())


def table1_table(rows: dict[str, Boundary]) -> pd.DataFrame:
    """Table 1 as printed, with how far the losses that train here are from it, and the width of the margin in degrees."""
    lines = [("Softmax", "(W₁ − W₂)x + b₁ − b₂ = 0", f"{softmax_agreement():.0e}", "no function of angles")]
    for name, row in rows.items():
        width = _width(row.margin)
        lines.append((name, row.printed, f"{table1_agreement(row):.0e}", f"{width.min():.2f}° to {width.max():.2f}°"))
    columns = ["loss", "boundary of class 1, as printed", "largest difference", "margin θ₂ − θ₁"]
    return pd.DataFrame(lines, columns=columns)


def table1_claims(rows: dict[str, Boundary]) -> list[Claim]:
    """Table 1's equations, and what §2.5-2.7 say of the margins."""
    worst = max(softmax_agreement(), *(table1_agreement(row) for row in rows.values()))
    arcface, cosface, sphere = (rows[name].margin for name in ("ArcFace", "CosineFace", "SphereFace"))
    arc, cos, sph = _width(arcface), _width(cosface), _width(sphere)
    angles = np.linspace(0, 90, 181)
    cos_gap = np.cos(np.radians(boundary_angle(cosface, angles))) - np.cos(np.radians(angles))
    cos_gap = cos_gap[np.isfinite(cos_gap)]
    return [
        Claim("Table 1 gives the boundaries of the losses", "Table 1", worst < 1e-10, f"largest difference {worst:.0e}"),
        Claim(
            "ArcFace's margin is the same angle everywhere: an arc on the sphere",
            "§2.6, Figure 3",
            bool(np.ptp(arc) < 0.01),
            f"{arc.min():.2f}° to {arc.max():.2f}° for θ2 up to 90°",
        ),
        Claim(
            "CosineFace's margin is the same everywhere in the cosine, not in the angle",
            "§2.5-2.6, Figure 3",
            bool(np.ptp(cos_gap) < 1e-3 and np.ptp(cos) > 1),
            f"{cos_gap.mean():.3f} in the cosine; {cos.min():.2f}° to {cos.max():.2f}° in the angle",
        ),
        Claim(
            "SphereFace's margin depends on the angle and vanishes at θ = 0",
            "§2.3, Figure 3",
            bool(sph.min() < 0.1 < 1 < np.ptp(sph)),
            f"{sph.min():.2f}° to {sph.max():.2f}°",
        ),
    ]


def _width(margin: Margin) -> np.ndarray:
    """θ2 - θ1 along the boundary of class 1, for θ2 up to 90°, where there is a boundary."""
    theta2 = np.linspace(0, 90, 181)
    width = theta2 - boundary_angle(margin, theta2)
    return width[np.isfinite(width)]


TABLE1 = Item(
    "ArcFace",
    "Table 1",
    notebook="arcface/table1",
    parameters={"m_sphereface": 2.0, "m_cosface": 0.35, "m_arcface": 0.5},
    statements=lambda p: table1_claims(table1(p.m_sphereface, p.m_cosface, p.m_arcface)),
)
FIGURE3 = replace(TABLE1, name="Figure 3")  # the same boundaries, drawn
