"""What the settings of a loss may be: numbers in a range, words of a choice, and schedules, which change during training."""

import math
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Range:
    """Where a number may lie: from `low`, with it or (`above`) without, to `high`, with it where that is finite."""

    low: float
    high: float
    above: bool = False
    unit: str = ""

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above else self.low <= value) and value <= self.high and math.isfinite(value)

    def __str__(self) -> str:
        high = "∞)" if self.high == math.inf else f"{'π' if self.high == math.pi else format(self.high, 'g')}]"
        return f"{'(' if self.above else '['}{self.low:g}, {high}{self.unit}"


POSITIVE, NOT_NEGATIVE = Range(0, math.inf, above=True), Range(0, math.inf)
ANGLE, DISTANCE = Range(0, math.pi, unit=" radians"), Range(0, math.pi, above=True, unit=" radians")
COSINE = Range(0, 2)  # of a margin that is taken from a cosine: with more, no sample is ever on its side
MULTIPLE = Range(1, 7)  # of angles: papers have up to 4; more is a scale that stands in the wrong place


class Radians(float):
    """An angle said to be in radians where one would take it for degrees: `InterFace(b=Radians(10))`, as printed."""


@dataclass(frozen=True)
class Annealing:
    """max(end, start / (1 + decay · step)): SphereFace's λ, "1,000 at beginning and decreases to 5" (ArcFace §2.3)."""

    start: float = 1000.0
    end: float = 5.0
    decay: float = 0.12  # of SphereFace's public code; no paper prints it

    def __post_init__(self) -> None:
        check(self, start=NOT_NEGATIVE, end=NOT_NEGATIVE, decay=NOT_NEGATIVE)

    def __call__(self, step: int) -> float:
        return max(self.end, self.start / (1 + self.decay * step))


@dataclass(frozen=True)
class Ramp:
    """From start to end in so many steps, evenly: `ArcFace(m=Ramp(0, 0.5, 10_000))` grows its margin."""

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        check(self, start=NOT_NEGATIVE, end=NOT_NEGATIVE, steps=POSITIVE)

    def __call__(self, step: int) -> float:
        return self.start + (self.end - self.start) * min(1.0, step / self.steps)


Schedule = Annealing | Ramp  # of a setting that changes during training, always in one direction


def first(setting: float | Schedule) -> float:
    """The value of a setting, of a schedule its first: what a loss computes with by itself (see `Margin.at`)."""
    return setting(0) if isinstance(setting, Schedule) else setting


def check(loss: Any, schedules: bool = False, **ranges: Range) -> None:
    """Raise an error that names the first field of a loss that is no number (TypeError) or makes no sense (ValueError)."""
    order = f"; the order is {type(loss).__name__}({', '.join(field.name for field in fields(loss))})"
    kind = "a number or a schedule, such as Ramp(0, 0.5, steps=10_000)" if schedules else "a number"
    for field, range_ in ranges.items():
        value = getattr(loss, field)
        for number in (value.start, value.end) if schedules and isinstance(value, Schedule) else (value,):
            check_number(f"{type(loss).__name__}: {field}", number, range_, kind, order)


def check_number(name: str, value: object, range_: Range, kind: str = "a number", hint: str = "") -> None:
    """Raise an error that says what `name` must be, where a value is no number (TypeError) or out of range (ValueError)."""
    if not isinstance(value, Real) or isinstance(value, bool):
        shown = "; a parameter to be learned would get no gradient" if isinstance(value, Tensor) else f" {value!r}"
        raise TypeError(f"{name} must be {kind}, not {type(value).__name__}{shown}")
    if float(value) not in range_:
        degrees = f"; for degrees, math.radians({value:g})" if range_.unit and math.pi < float(value) <= 360 else ""
        raise ValueError(f"{name}={value!r} must lie in {range_}{degrees}{hint}")


def check_choice(loss: Any, **choices: tuple[str, ...]) -> None:
    """Raise a ValueError that names the first field that is none of its words."""
    for field, words in choices.items():
        if getattr(loss, field) not in words:
            raise ValueError(f"{type(loss).__name__}: {field}={getattr(loss, field)!r} must be one of {', '.join(words)}")
