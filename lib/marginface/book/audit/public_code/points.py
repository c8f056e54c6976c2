"""Where the papers and the public code differ, point by point, each with a computed example.

What the public code does was found by reading and running it; the tests of `heads` hold `sign="released"` and the other
options against losses and gradients that it gave. No public code for IAM or PAM was found. Code of later losses (`later`) was
read only.
"""

import math

import numpy as np
import pandas as pd
import torch

from marginface.book.audit.public_code import examples, later
from marginface.book.audit.public_code.examples import CASIA, DIM, DROPS, EPOCHS, IDENTITIES, IMAGES
from marginface.book.audit.public_code.point import Point
from marginface.book.papers.arcface import curves
from marginface.book.papers.interface import figure1
from marginface.book.profiles import endpoint_table, half_precision_table, slope
from marginface.book.verdicts import Verdict
from marginface.margins import ArcFace, InterFace
from marginface.settings import Radians
from marginface.training.recipes import ARCFACE, INTERFACE


def points() -> list[Point]:
    return [*_on_interface(), *_on_arcface(), *later.points(), *_on_numerics(), *_on_evaluation()]


def points_table(found: list[Point]) -> pd.DataFrame:
    words = {True: "the same", False: "differs", None: "not in the paper"}
    lines = [(p.topic, p.paper, p.code, words[p.same], p.example) for p in found]
    return pd.DataFrame(lines, columns=["point", "paper", "public code", "", "computed example"])


def verdict(found: list[Point]) -> Verdict:
    """Whether the public code does what the papers say."""
    same, differ, silent = (sum(p.same is value for p in found) for value in (True, False, None))
    word = "reproduced in part" if same and differ else "contradicted" if differ else "reproduced"
    lines = (f"{len(found)} points: {same} the same, {differ} differ, {silent} not in the paper",)
    return Verdict(word, lines + tuple(f"differs: {p.topic}" for p in found if p.same is False), "computed")


def _on_interface() -> list[Point]:
    own = 40.0
    plain, printed, released = (
        examples.loss_of(margin, own) for margin in (ArcFace(), InterFace.cid_ct(), InterFace.cid_ct(sign="released"))
    )
    f = [float(figure1.shift_degrees(InterFace.did_dt(b=b), np.array([own]))[0]) for b in (Radians(10), math.radians(10))]
    gradients = figure1.gradient_table().set_index("parameters")["embeddings"]
    schedule = examples.schedule_table()
    drops = schedule.iloc[:-1, 2]
    end_printed, end_released = map(str, schedule.iloc[-1, 1:])
    apart = [abs(_thousands(p) - _thousands(r)) for p, r in zip(schedule.iloc[:, 1], schedule.iloc[:, 2], strict=True)]
    b_over = float(torch.tensor(math.radians(10)) / torch.tensor(0.0))
    return [
        Point(
            "InterFace: the sign of f",
            "θ_j − f, f = α(e^−γ − e^−t) (Eq. 7–8)",
            "θ_j − α(e^−t − e^−γ)",
            math.isclose(printed, released),
            f"at θ = {own:g}°, cid&ct: loss {printed:.3f} as printed, {released:.3f} as released; ArcFace {plain:.3f}",
        ),
        Point(
            "InterFace: the unit of b",
            "b = 10, without a unit (§II d and e), beside d_inter = π/2 (§II c and d)",
            "π/18, which is 10°",
            math.isclose(*f),
            f"f at θ = {own:g}°, weights 90° apart: {f[1]:+.2f}° with 10°, {f[0]:+.2f}° with 10 radians",
        ),
        Point(
            "InterFace: the gradient through γ and t",
            "–",
            "none: f is a constant in the backward pass",
            None,
            "with it the gradient by embeddings changes by " + ", ".join(f"{g!s} ({n!s})" for n, g in gradients.items()),
        ),
        Point(
            "InterFace: class weights that coincide",
            "–; d_inter, an angle, is a divisor (Eq. 5–6)",
            "d_inter is at least 0.01",
            None,
            f"without the bound b / d_inter is {b_over:g} at d_inter = 0; γ of a sample that is there, too, is 0/0",
        ),
        Point(
            "InterFace: when the learning rate drops",
            f"after {', '.join(schedule.iloc[:-1, 1])} steps (§III)",
            f"after {', '.join(map(str, DROPS))} epochs",
            max(apart[:-1]) < 1,
            f"in steps of {INTERFACE.batch_size} these are {', '.join(drops)}: up to {max(apart[:-1]):.0f}k later",
        ),
        Point(
            "InterFace: how long training takes",
            f"{end_printed} steps (§III)",
            f"{EPOCHS} epochs",
            apart[-1] < 1,
            f"in steps of {INTERFACE.batch_size}: {end_released}",
        ),
        Point(
            "InterFace: the training set",
            "“5.8M images of 85k identities” (§III)",
            f"{IMAGES:,} images, {IDENTITIES:,} classes",
            (f"{IMAGES / 1e6:.1f}", IDENTITIES // 1000) == ("5.8", 85),
            f"{IMAGES / IDENTITIES:.0f} images a class",
        ),
        Point(
            "InterFace: training on CASIA, for Tables I to V",
            "– (“we choose CASIA [27] as our training dataset and Resent50 [8] as our training model”, §II d, without a "
            "recipe)",
            f"batches of {CASIA.batch}, learning rate 0.1, {CASIA.epochs} epochs, ÷ 10 after "
            f"{', '.join(map(str, CASIA.drops))}, "
            "gradients clipped at 5, half precision",
            None,
            f"{CASIA.images:,} images of {CASIA.identities:,} people: "
            f"{CASIA.epochs * CASIA.images / CASIA.batch / 1000:.1f}k steps",
        ),
    ]


def _thousands(text: str) -> float:
    return float(text.removesuffix("k"))


def _on_arcface() -> list[Point]:
    exact, through = (slope(ArcFace(gradient=kind), np.array([35.0]))[0] for kind in ("exact", "straight_through"))
    far = np.array([165.0])
    none, monotonic = (curves.target_logit(ArcFace(fallback=kind), far)[0] for kind in ("none", "monotonic"))
    black, white = ((pixel - 127.5) / np.array([128, 127.5]) for pixel in (0, 255))
    assert ARCFACE.dropout is not None
    kept = 7 * 7 * DIM * (1 - ARCFACE.dropout)
    return [
        Point(
            "ArcFace: the gradient of the margin",
            "that of cos(θ + m) (Eq. 9)",
            "since December 2022 that of cos θ, in PyTorch; before, and in MXNet, as in the paper",
            math.isclose(exact, through),
            f"at θ = 35° a sample is pulled with a factor of {exact:.3f} by the paper and {through:.3f} by the code",
        ),
        Point(
            "ArcFace: beyond θ = 180° − m",
            "“we do not need to deal with this explicitly” (§2.8)",
            "T continues as cos θ − m sin m",
            math.isclose(none, monotonic),
            f"at 165° T is {none:+.3f} or {monotonic:+.3f}; of random unit vectors in {DIM} dimensions, where training starts, "
            f"the largest of a million angles is {examples.start_angle():.0f}° (§2.8: “below 105◦”)",
        ),
        Point(
            "ArcFace: pixel values, 2018",
            "“subtracting 127.5 then divided by 128” (§3.2.1)",
            "(x − 127.5) × 0.0078125, in MXNet",
            128 * 0.0078125 == 1,
            f"black is {black[0]:+.4f}, white {white[0]:+.4f}",
        ),
        Point(
            "ArcFace: pixel values, today",
            "“subtracting 127.5 then divided by 128” (§3.2.1)",
            "(x − 127.5) / 127.5, in PyTorch",
            bool(np.ptp(black) == 0),
            f"black is {black[1]:+.4f} instead of {black[0]:+.4f}: {black[1] / black[0] - 1:.1%} more contrast, which matters "
            "where a network meets the other's images",
        ),
        Point(
            "ArcFace: dropout",
            f"{ARCFACE.dropout:g}, before the last layer (§3.2.5)",
            "0, in PyTorch today",
            ARCFACE.dropout == 0,
            f"with it {kept:,.0f} of {7 * 7 * DIM:,} values reach the last layer in a step of training, on average",
        ),
        Point(
            "ArcFace: the schedule",
            "batch 512, drops at 100k, 140k and 160k (§3.2)",
            "4 × 128, drops at 100k, 140k, 160k, in MXNet",
            ARCFACE.batch_size == 4 * 128
            and [round(share * (ARCFACE.steps or 0)) for share in ARCFACE.milestones] == [100_000, 140_000, 160_000],
            f"{ARCFACE.batch_size * (ARCFACE.steps or 0) / 1e6:.0f} million images in all",
        ),
    ]


def _on_numerics() -> list[Point]:
    ends = endpoint_table()
    half = half_precision_table(degrees=(1, 5))
    return [
        Point(
            "cos(θ + m) at θ = 0° and 180°",
            "–",
            "arccos, or √(1 − cos²), and autograd",
            None,
            "gradient at 0° and 180° in float32: "
            + "; ".join(f"{row[0]}: {row[1]}, {row[3]}" for row in ends.itertuples(index=False)),
        ),
        Point(
            "cosines in half precision",
            "–",
            "training in half precision; some codes keep cosines in it",
            None,
            "an angle of 1° and of 5° comes back as "
            + ", ".join(f"{' and '.join(half[kind])} ({kind})" for kind in half.columns[1:]),
        ),
    ]


def _on_evaluation() -> list[Point]:
    differences = examples.threshold_table().iloc[:, 3].astype(float)
    before, after = examples.mirror_scores()
    best = examples.best_of_table().set_index("checkpoints").iloc[:, 1]
    error = examples.interpolation_error()
    return [
        Point(
            "verification: the threshold",
            "–",
            "the best of 400 squared distances, on the other folds",
            None,
            f"synthetic pairs: {differences.min():+.3f} to {differences.max():+.3f} points against a search of all thresholds",
        ),
        Point(
            "verification: mirror images",
            "– (“the score is computed by the Cosine Distance of two feature vectors”, ArcFace §3.2.2, does not say how "
            "a vector is "
            "made)",
            "embeddings of image and mirror image are added, then normalised",
            None,
            "an embedding 4 times as long as its mirror's, 60° away, against its own direction: cosine "
            f"{before:.3f} when added as they are, {after:.3f} when normalised before, 1 without the mirror",
        ),
        Point(
            "verification: TAR at a FAR",
            "“TAR (True Accepted Rate) at 10^-6 FAR (False Accepted Rate)” (ArcFace Table 9)",
            "interpolates over rates, of which several are 0",
            None if error else True,
            f"today's SciPy: “{error}”" if error else "works with this SciPy",
        ),
        Point(
            "which checkpoint is reported",
            "–",
            "logs the highest accuracy so far on the test sets, which public records then quote",
            None,
            f"of equally good ones with 99.5% on 6,000 pairs the best of 20 has {best[20]}% on average, of 100 {best[100]}%, "
            "if they are independent",
        ),
    ]
