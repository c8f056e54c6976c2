"""Reading the printed tables for the sentences that are about them: look-ups, ranks, and the numbers that a sentence cites."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from marginface.book import published
from marginface.book.audit.numbers.granularity import slip
from marginface.book.verdicts import Claim

Numbers = Any  # a Series or DataFrame of floats: to the stubs of pandas, each look-up in one may be a date


def grid(paper: str, number: int, rows: str, columns: str = "benchmark") -> Numbers:
    """A printed table as it stands: one row for each `rows`, one column for each `columns`; NaN where nothing is printed."""
    table = published.table(paper, number)
    return table.pivot_table("value", rows, columns, sort=False, dropna=False)


def rank(values: Numbers, name: str) -> int:
    """1 and the number of those that are better; ties share the better rank. Nothing printed is never better."""
    return 1 + int((values > values[name]).sum())


def cites(text: str, source: str, printed: Sequence[float], where: str) -> Claim:
    """The claim that the percentages in a sentence, in their order, are those of a table.

    Where only a digit, or the order of two, is another, that is a misprint of the sentence or of its extraction.
    Raises: ValueError where the sentence does not have as many percentages as there are look-ups.
    """
    said = re.findall(r"(\d+(?:\.\d+)?) ?%", text)
    if len(said) != len(printed):
        raise ValueError(f"{len(said)} percentages in {text!r}, but {len(printed)} to compare with")
    off = [(a, _shown(b)) for a, b in zip(said, printed, strict=True) if float(a) != b]
    agreed = f"{len(said) - len(off)} of {len(said)} are in {where}"
    slips = bool(off) and all(slip(a, b) in ("one digit", "the order of two digits") for a, b in off)
    listed = [f"{a} is {b} in {where}" + (f" ({slip(a, b)})" if slips else "") for a, b in off]
    return Claim(text, source, not off, "; ".join([agreed, *listed]), "misprint" if slips else "claim")


def listing(values: Numbers) -> str:
    """Names and printed values, in a line."""
    return ", ".join(f"{name} {_shown(value)}" for name, value in values.items())


def _shown(value: float) -> str:
    return "not printed" if pd.isna(value) else f"{value:g}"
