"""What a run under way is worth on people set aside, and whether it gets anywhere at all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from marginface.data.types import VALIDATION, FaceData
from marginface.margins import Margin, Ramp, described
from marginface.ranks import Ranks
from marginface.training.learner import Learner
from marginface.training.testing import evaluate
from marginface.variants import CircleLoss

MEASURE = f"{VALIDATION} AUC"  # what the best state is chosen by: of all pairs, and so least a matter of chance
LOOKS = (0.25, 0.5)  # after which shares of a run it is asked whether θ has fallen
LEAST_STEPS, LEAST_EPOCHS = 100, 2  # before that nothing is said
FAR_AWAY, FALL = 75.0, 5.0  # degrees that are still far, and that would be a fall


class NotConvergingWarning(UserWarning):
    """The angles between images and their classes do not fall."""


@dataclass
class Validation:
    """Tests a run every so many steps. `history` has [step, AUC] of each time."""

    data: FaceData
    every: int
    normalisation: str
    dtype: torch.dtype
    history: list[list[float]] = field(default_factory=list)

    def due(self, step: int, steps: int) -> bool:
        return step % self.every == 0 or step == steps

    def measure(self, learner: Learner, ranks: Ranks | None = None) -> dict[str, float]:
        """AUC and TAR at FARs over all pairs of the people set aside; `ranks` share the images."""
        alone = replace(self.data, tests={VALIDATION: self.data.tests[VALIDATION]})
        return evaluate(learner, alone, self.normalisation, self.dtype, ranks=ranks)[0]

    def note(self, step: int, value: float) -> None:
        self.history.append([step, value])

    def best_now(self, step: int) -> bool:
        """Whether this step was tested, and better than any before."""
        return bool(self.history) and self.history[-1][0] == step and self.best == step

    @property
    def best(self) -> int:
        """The step that was best, of equally good ones the first."""
        return int(max(self.history, key=lambda each: (each[1], -each[0]))[0])


def trouble(losses: Sequence[float], theta: np.ndarray, steps: int, epoch: int, margin: object) -> str | None:
    """Why a run seems not to converge, and what to try; None where it does, or where it is not the time to ask.

    The loss alone does not tell: beyond π - m, where ArcFace has no fallback, it falls while θ rises.

    Arguments: losses: of the steps so far; theta (stretches, bins): histograms of θ_y over the run, as a `Loop` keeps them;
        steps, epoch: how many there are in the run and in an epoch.
    """
    done, least = len(losses), max(LEAST_STEPS, LEAST_EPOCHS * epoch)
    if not isinstance(margin, Margin) or done not in {max(least, round(share * steps)) for share in LOOKS}:
        return None
    seen = [row for row in theta[: (done - 1) * len(theta) // steps + 1] if row.sum()]
    middles = (np.arange(theta.shape[1]) + 0.5) * 180 / theta.shape[1]
    before, now = (float(row @ middles / row.sum()) for row in (seen[0], seen[-1]))
    if now < FAR_AWAY or before - now > FALL:
        return None
    part = max(1, done // 10)
    first, last = np.mean(losses[:part]), np.mean(losses[-part:])
    return (
        f"step {done} of {steps}: it does not seem to converge. θ, the angle between images and their classes, is {now:.0f}° "
        f"and was {before:.0f}°; the loss is {last:.1f} and was {first:.1f}. That is common with {described(margin)} on small "
        f"sets from scratch. Try {'; '.join(_advice(margin, steps, now))}"
    )


def _easier(margin: Margin, m: float, steps: int) -> str:
    grown = Ramp(0, m, max(1, steps // 4))
    try:
        replace(margin, m=grown)  # type: ignore[type-var]
        return f"margin.m=Ramp(0, {m:g}, {grown.steps}), a margin that grows"
    except TypeError:  # a number is wanted
        pass
    if isinstance(margin, CircleLoss):  # whose m says how far a cosine may be from where it should be
        return f"margin.m={(1 + m) / 2:g}, with which less is asked for"
    return f"margin.m={m / 2:g}, a smaller margin"


def _advice(margin: Margin, steps: int, theta: float) -> list[str]:
    m, fallback = getattr(margin, "m", None), getattr(margin, "fallback", None)
    small = isinstance(m, int | float) and 0 < m < 1
    long = next((name for name in ("scale", "radius") if name in vars(margin)), None)  # what a recipe can set
    turned = fallback == "none" and small and theta > 180 - math.degrees(float(m or 0)) - 30
    return [
        *(["margin.fallback=monotonic, for beyond π - m a larger θ is rewarded"] if turned else []),
        *([_easier(margin, float(m or 0), steps)] if small else []),
        *([f"margin.{long}=16, for less than some thousand people"] if long and (margin.scale or 0) > 30 else []),
        "warmup=0.1; a lower lr, or clip=5",
        "softmax or normface first, and then to start from that network",
    ]
