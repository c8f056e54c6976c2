"""PAM with many classes: are its ranges the ranges, and its pairs the nearest classes? As benchmarks/pam_glyphs.py found."""

from typing import Any

import pandas as pd

from marginface.data.files import data_folder

NO = "not compared"  # all drawings with each other, where there are too many


def measured() -> pd.DataFrame:
    """What the benchmark has written, one row a run."""
    return pd.read_csv(data_folder() / "pam_glyphs.csv")


def table() -> pd.DataFrame:
    """As the page shows it: a column for each number of classes."""
    return (
        pd.DataFrame({f"{run.characters:,} classes": _lines(run) for run in measured().itertuples()})
        .rename_axis("")
        .reset_index()
    )


def _lines(run: Any) -> dict[str, str]:
    return {
        "the farthest drawing of a class, median": f"{run.farthest:.1f}°",
        "R after three epochs of Eqs. 8–9, less that, mean": f"{run.range_mean:+.1f}°",
        "nine in ten of these differences": f"{run.range_low:+.1f} to {run.range_high:+.1f}°",
        "correlation of the two": f"{run.range_correlation:.3f}",
        "version 1: its pairs that are truly the narrowest": f"{run.v1_right:.0%}",
        "version 1: classes that are in any of them": f"{run.v1_classes:.0%}",
        "version 2: classes with the nearest centre among their two": f"{run.v2_nearest_centre:.0%}",
        "version 2: classes with that of the nearest drawing among their two": _share(run.v2_nearest_drawing),
        "the nearest centre is the class of the nearest drawing": _share(run.centre_nearest_drawing),
        "version 1, forward and backward, by a step of the base loss": f"{run.v1_times:.1f}",
        "version 2, the same": f"{run.v2_times:.1f}",
        "memory of version 1 and 2 beside it": f"{run.v1_MB:.0f} and {run.v2_MB:.0f} MB",
    }


def _share(value: float) -> str:
    return NO if pd.isna(value) else f"{value:.0%}"


def machine() -> str:
    """What it was measured on, in half a sentence."""
    first = measured().iloc[0]
    return f"{first.steps} steps of training; {first.threads} thread of {first.device}"
