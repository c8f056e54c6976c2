"""Computed examples of where the papers and the public code differ: losses, schedules, gradients and evaluation."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.interpolate import interp1d
from scipy.stats import binom

from marginface.book.papers.interface import figure1
from marginface.book.profiles import CLASSES, slope
from marginface.evaluation.verification import insightface_accuracy, kfold_accuracy, mirrored, pair_scores, unit
from marginface.heads import MarginHead
from marginface.margins import ArcFace, Margin
from marginface.training.recipes import INTERFACE

IMAGES, IDENTITIES = 5_822_653, 85_742  # of MS1MV2 in InterFace's released configuration, which counts in epochs
EPOCHS, DROPS = 26, (8, 14, 20, 25)


@dataclass(frozen=True)
class Configuration:
    """How long a released configuration trains, and on what."""

    images: int
    identities: int
    batch: int
    epochs: int
    drops: tuple[int, ...]


CASIA = Configuration(490_623, 10_572, 512, 34, (20, 28, 32))  # InterFace's for ResNet-50
DIM = 512


# InterFace


def loss_of(margin: Margin, degrees: float, classes: int = CLASSES) -> float:
    """The loss of a sample `degrees` from its class and on the way to another, all class weights 90° apart."""
    head = MarginHead(3, classes, margin).double()
    head.weight.data = torch.eye(3, dtype=torch.float64)[[0, 1, *[2] * (classes - 2)]]
    theta = math.radians(degrees)
    x = torch.tensor([[math.cos(theta), math.sin(theta), 0]], dtype=torch.float64)
    return head(x, torch.tensor([0])).item()


def sign_table(degrees: tuple[float, ...] = (5, 20, 35, 40, 45)) -> pd.DataFrame:
    """The loss of one sample under ArcFace and both signs of InterFace."""
    losses: dict[str, Margin] = {"ArcFace": ArcFace()}
    for name, margin in figure1.SETS.items():
        losses |= {f"{name}, sign as printed": margin, f"{name}, sign as released": replace(margin, sign="released")}
    lines = [(name, *(f"{loss_of(margin, d):.3g}" for d in degrees)) for name, margin in losses.items()]
    return pd.DataFrame(lines, columns=["loss", *(f"θ = {d:g}°" for d in degrees)])


def schedule_table() -> pd.DataFrame:
    """When InterFace's learning rate drops, in thousands of steps of 512: printed, and by the released configuration."""
    assert INTERFACE.steps is not None
    printed = [*(share * INTERFACE.steps for share in INTERFACE.milestones), INTERFACE.steps]
    released = [epochs * IMAGES / INTERFACE.batch_size for epochs in (*DROPS, EPOCHS)]
    names = [*(f"drop {k}" for k in range(1, len(printed))), "end"]
    lines = [(n, f"{p / 1000:.0f}k", f"{r / 1000:.1f}k") for n, p, r in zip(names, printed, released, strict=True)]
    return pd.DataFrame(lines, columns=["", "paper", "released configuration"])


# ArcFace


def gradient_table(degrees: tuple[float, ...] = (5, 20, 35, 60, 90, 120), m: float = 0.5) -> pd.DataFrame:
    """dT/dcos θ, exact and straight-through: the factor by which a sample is pulled to its class."""
    exact, through = (slope(ArcFace(m=m, gradient=kind), np.array(degrees)) for kind in ("exact", "straight_through"))
    lines = [(f"{d:g}°", f"{e:.3f}", f"{t:.3f}") for d, e, t in zip(degrees, exact, through, strict=True)]
    return pd.DataFrame(lines, columns=["θ", "derivative of cos(θ + m)", "in the PyTorch code since December 2022"])


def start_angle(classes: int = 2000, samples: int = 500, seed: int = 0) -> float:
    """The largest angle in degrees between random embeddings and random class weights: where training starts."""
    numbers = np.random.default_rng(seed)
    x, W = (unit(numbers.standard_normal((count, DIM))) for count in (samples, classes))
    return math.degrees(math.acos(float((x @ W.T).min())))


# evaluation


def draw_pairs(
    pairs: int = 6000, noise: float = 1.4, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Synthetic embeddings of pairs (P, 128), half of them of the same person: a shared direction and noise."""
    numbers = np.random.default_rng(seed)
    same = np.arange(pairs) % 2 == 0
    people, others = (numbers.standard_normal((pairs, 128)) for _ in range(2))
    left = people + noise * numbers.standard_normal((pairs, 128))
    right = np.where(same[:, None], people, others) + noise * numbers.standard_normal((pairs, 128))
    return unit(left), unit(right), same


def threshold_table(seeds: int = 5) -> pd.DataFrame:
    """10-fold accuracy of synthetic pairs in percent: all thresholds, and the public code's 400."""
    lines = []
    for seed in range(seeds):
        left, right, same = draw_pairs(seed=seed)
        every = kfold_accuracy(pair_scores(left, right), same).accuracy
        grid = insightface_accuracy(left, right, same).accuracy
        lines.append((seed, f"{100 * every:.3f}", f"{100 * grid:.3f}", f"{100 * (grid - every):+.3f}"))
    return pd.DataFrame(lines, columns=["draw", "all thresholds, %", "400 thresholds, %", "difference, points"])


def best_of_table(accuracy: float = 0.995, pairs: int = 6000, counts: tuple[int, ...] = (1, 5, 20, 100)) -> pd.DataFrame:
    """What the best of several checkpoints scores on average, if all are equally good and judge the pairs independently.

    Checkpoints of one training are alike, so that the true gain is smaller: an upper bound.
    """
    lines = [(n, f"{100 * accuracy:.2f}", f"{100 * _best_of(n, accuracy, pairs):.2f}") for n in counts]
    return pd.DataFrame(lines, columns=["checkpoints", "each, %", "the best of them, % on average"])


def _best_of(count: int, accuracy: float, pairs: int) -> float:
    below = binom.cdf(np.arange(pairs), pairs, accuracy)  # P(K <= k) for k < pairs
    return float(np.sum(1 - below**count)) / pairs


def mirror_scores(long: float = 20.0, short: float = 5.0, apart: float = 60.0) -> tuple[float, float]:
    """The cosine of two images of one person, an image's embedding long and its mirror's short and `apart` degrees away.

    Returns: with embeddings added to those of the mirror images before they are normalised, and after.
    """
    numbers = np.random.default_rng(0)
    person, turned = unit(numbers.standard_normal((2, DIM)))
    turned = unit((turned - (turned @ person) * person)[None])[0]
    flipped = math.cos(math.radians(apart)) * person + math.sin(math.radians(apart)) * turned
    image, mirror = long * person[None], short * flipped[None]
    other = person[None]
    before = pair_scores(mirrored(image, mirror), other)[0]
    after = pair_scores(mirrored(unit(image), unit(mirror)), other)[0]
    return float(before), float(after)


def interpolation_error() -> str:
    """What SciPy says to the step of the public evaluation that finds a threshold for a FAR: "" if it works."""
    rates, thresholds = np.array([0.0, 0.0, 0.001, 0.002]), np.arange(0, 0.004, 0.001)
    try:
        interp1d(rates, thresholds, kind="slinear")(0.001)
    except ValueError as error:
        return str(error)
    return ""
