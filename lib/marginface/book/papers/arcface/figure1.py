"""ArcFace Figure 1: the margin between two classes as an angle, and as an arc on the sphere."""

import math

import numpy as np

from marginface.book.items import Item
from marginface.book.papers.arcface.figure2 import APART
from marginface.book.papers.interface.figure1 import boundary, widths
from marginface.book.verdicts import Claim
from marginface.margins import ArcFace, Margin, NormFace

DIMENSIONS = 512  # §2.1
PIECES = 1000  # of an arc that is measured with a ruler


def ends(margin: Margin, apart: float, seed: int = 0) -> np.ndarray:
    """The two points at which the regions end on the arc between two centres, drawn at random in 512 dimensions: (2, 512)."""
    one, other = np.linalg.qr(np.random.default_rng(seed).normal(size=(DIMENSIONS, 2)))[0].T
    (reach,) = boundary(margin, np.array([apart]))
    angles = np.radians([float(reach), apart - float(reach)])[:, None]
    return np.cos(angles) * one + np.sin(angles) * other


def arc(points: np.ndarray, radius: float = 1.0) -> float:
    """The length of the shortest way over a sphere between two unit vectors (2, d), measured in `PIECES` straight pieces."""
    angle = math.acos(float(np.clip(points[0] @ points[1], -1, 1)))
    part = np.linspace(0, angle, PIECES + 1)[:, None]
    way = (np.sin(angle - part) * points[0] + np.sin(part) * points[1]) / math.sin(angle)
    return radius * float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())


def figure1_claims(m: float, scale: float) -> list[Claim]:
    """The two sentences of the caption."""
    margin = ArcFace(scale, m)
    degrees, none = (widths(loss, np.array(APART, dtype=np.float64)) for loss in (margin, NormFace(scale)))
    lengths = [arc(ends(margin, apart, seed)) for seed, apart in enumerate(APART[:-1])]
    far = arc(ends(margin, 90.0), scale)
    between = f"for centres {min(APART)}° to {max(APART)}° apart"
    return [
        Claim(
            "“ArcFace can directly impose angular (arc) margin between classes”",
            "Figure 1 (a)",
            bool(np.abs(degrees - math.degrees(m)).max() < 0.01 and np.abs(none).max() < 0.01),
            f"{degrees.min():.2f}° to {degrees.max():.2f}° {between}, m is {math.degrees(m):.2f}°; "
            f"without margin {none.max():.2f}°",
        ),
        Claim(
            "“The angular margin of ArcFace corresponds to arc margin (geodesic distance) on the hypersphere surface”",
            "Figure 1 (b)",
            bool(np.abs(np.array(lengths) - m).max() < 1e-4 and abs(far - scale * m) < 1e-2),
            f"arcs of {min(lengths):.4f} to {max(lengths):.4f} on the unit sphere in {DIMENSIONS} dimensions, m is {m:g}; "
            f"{far:.2f} on the one of radius s = {scale:g}",
        ),
    ]


FIGURE1 = Item(
    "ArcFace",
    "Figure 1",
    notebook="arcface/figure1",
    parameters={"m": 0.5, "scale": 64.0, "apart": 90.0},
    statements=lambda p: figure1_claims(p.m, p.scale),
)
