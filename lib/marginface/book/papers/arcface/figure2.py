"""ArcFace Figure 2: the regions of classes on the sphere, and the distance that a margin puts between them."""

import math

import numpy as np
import torch

from marginface.book.items import Item
from marginface.book.verdicts import Claim
from marginface.margins import ArcFace, CosFace, Margin, NormFace, SphereFace
from marginface.settings import first

APART = (60, 75, 90, 120, 150, 180)  # degrees between two class centres, far enough for every loss to leave regions
NOBODY = -1


def margins(m_arcface: float = 0.5, m_cosface: float = 0.35, m_sphereface: float = 2) -> dict[str, Margin]:
    """The losses of the figure. The paper prints no m of SphereFace for it; 2 keeps regions visible."""
    return {
        "without margin": NormFace(),
        f"SphereFace (m={m_sphereface:g})": SphereFace(m_sphereface),
        f"CosineFace (m={m_cosface:g})": CosFace(m=m_cosface),
        f"ArcFace (m={m_arcface:g})": ArcFace(m=m_arcface),
    }


def arcface_steps() -> dict[str, Margin]:
    """ArcFace at rising margins, named by them, from 0 to 1 radian."""
    return {f"{m:.1f}": ArcFace(m=m) for m in np.arange(0, 1.05, 0.1)}


def cosface_steps() -> dict[str, Margin]:
    """CosFace at rising margins, named by them, cosines from 0 to 0.7."""
    return {f"{m:.2f}": CosFace(m=m) for m in np.arange(0, 0.75, 0.07)}


def spiral(points: int) -> np.ndarray:
    """Directions spread evenly over the sphere, along a spiral of golden angles. Shape (points, 3)."""
    z = 1 - (2 * np.arange(points) + 1) / points
    azimuth = np.arange(points) * math.pi * (3 - math.sqrt(5))
    return np.stack([np.cos(azimuth) * np.sqrt(1 - z * z), np.sin(azimuth) * np.sqrt(1 - z * z), z], axis=1)


def centres(classes: int = 8, seed: int = 3) -> np.ndarray:
    """Class centres on the sphere: evenly spread, then moved a little at random. Shape (classes, 3)."""
    moved = spiral(classes) + np.random.default_rng(seed).normal(0, 0.15, (classes, 3))
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def regions(margin: Margin, directions: np.ndarray, W: np.ndarray) -> np.ndarray:
    """The class that each direction belongs to, or `NOBODY`: where T of one class is at least U of every other.

    Arguments: directions: (P, 3) and W: (C, 3), both of unit length. Returns: (P,) int.
    """
    cosine = torch.from_numpy(directions @ W.T).clamp(-1, 1)
    best = cosine.argmax(dim=1, keepdim=True)
    rival = margin.others(cosine).scatter(1, best, -torch.inf).amax(dim=1)
    inside = margin.target(cosine.gather(1, best).squeeze(1)) >= rival
    return np.where(inside.numpy(), best.squeeze(1).numpy(), NOBODY)


def shares(margin: Margin, W: np.ndarray, points: int = 20_000) -> np.ndarray:
    """The share of the sphere's surface that each class has. Shape (C,)."""
    return np.bincount(regions(margin, spiral(points), W) + 1, minlength=len(W) + 1)[1:] / points


def corridor(margin: Margin, apart: float, points: int = 720) -> tuple[float, float]:
    """How far it is over the sphere from a point of one region's edge to the other region: the least and the most, degrees.

    There are two classes, `apart` degrees from each other.
    """
    azimuth = np.linspace(0, 2 * np.pi, points, endpoint=False)
    angle = math.radians(apart)
    grid = np.linspace(0, math.pi, 3601)
    near = np.zeros(points)
    far = np.full(points, grid[margin.target(torch.from_numpy(np.cos(grid))).argmin()])
    if float(margin.target(torch.ones(1))) < math.cos(angle):
        raise ValueError(f"{margin} leaves no region to classes that are {apart:g}° apart")

    def edge(theta: np.ndarray) -> np.ndarray:
        """Points at an angle to the first centre, which is at the pole; the second is at azimuth 0. Shape (points, 3)."""
        return np.stack([np.sin(theta) * np.cos(azimuth), np.sin(theta) * np.sin(azimuth), np.cos(theta)], axis=1)

    for _ in range(60):  # bisection for T = U
        middle = (near + far) / 2
        other = torch.from_numpy(edge(middle) @ [math.sin(angle), 0, math.cos(angle)])
        inside = (margin.target(torch.from_numpy(np.cos(middle))) >= margin.others(other)).numpy()
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    one = edge(near)
    normal = np.array([math.cos(angle / 2), 0, -math.sin(angle / 2)])  # of the plane that mirrors one centre to the other
    two = one - 2 * (one @ normal)[:, None] * normal
    distance = np.degrees(2 * np.arcsin(np.linalg.norm(one[:, None] - two[None], axis=2).clip(0, 2) / 2)).min(axis=1)
    return float(distance.min()), float(distance.max())


def figure2_claims(losses: dict[str, Margin], W: np.ndarray) -> list[Claim]:
    """What the caption of Figure 2 and §2.6 say."""
    no_margin, sphere_margin, cos_margin, arc_margin = losses.values()
    plain, arcface = shares(no_margin, W), shares(arc_margin, W)
    assert isinstance(arc_margin, ArcFace)
    arc = np.array([corridor(arc_margin, apart) for apart in APART])
    cos = np.array([corridor(cos_margin, apart) for apart in APART])
    sphere = np.array([corridor(sphere_margin, apart) for apart in APART])
    m = math.degrees(first(arc_margin.m))
    between = f"for centres {min(APART)}° to {max(APART)}° apart"
    return [
        Claim(
            "ArcFace compresses the feature regions",
            "Figure 2",
            bool(np.all(arcface < plain)),
            f"classes have {plain.min():.1%} to {plain.max():.1%} of the sphere without margin, "
            f"{arcface.min():.1%} to {arcface.max():.1%} with it; {1 - arcface.sum():.0%} is nobody's",
        ),
        Claim(
            "its margin is the geodesic distance between regions (read as: the smallest, m for any two classes)",
            "§2.6, Figure 2",
            bool(np.abs(arc[:, 0] - m).max() < 0.01),
            f"{arc[:, 0].min():.2f}° to {arc[:, 0].max():.2f}° {between}, m is {m:.2f}°; "
            f"away from the arc between the centres the regions are up to {arc[:, 1].max():.1f}° apart",
        ),
        Claim(
            "compared to SphereFace and CosineFace it has the best geometric interpretation "
            "(read as: only its smallest distance is the same for any two classes)",
            "§2.6",
            bool(np.ptp(arc[:, 0]) < 0.01 and min(np.ptp(cos[:, 0]), np.ptp(sphere[:, 0])) > 1),
            f"{between}: CosineFace {cos[:, 0].min():.1f}° to {cos[:, 0].max():.1f}°, "
            f"SphereFace {sphere[:, 0].min():.1f}° to {sphere[:, 0].max():.1f}°; "
            f"but between two given classes CosineFace's distance changes by {np.ptp(cos, axis=1).max():.1f}° along the edge, "
            f"ArcFace's by up to {np.ptp(arc, axis=1).max():.1f}°",
        ),
    ]


FIGURE2 = Item(
    "ArcFace",
    "Figure 2",
    notebook="arcface/figure2",
    parameters={"m_arcface": 0.5, "m_cosface": 0.35, "m_sphereface": 2.0, "classes": 8},
    statements=lambda p: figure2_claims(margins(p.m_arcface, p.m_cosface, p.m_sphereface), centres(p.classes)),
)
