"""The papers' printed tables, as tidy data. A paper that was added has them in its folder of items, `papers/<paper>/`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from marginface.data.files import data_folder

PAPERS = Path(__file__).parent / "papers"


def table(paper: str, number: int) -> pd.DataFrame:
    """A printed table, one row a number: `value_printed` as it stands in the paper, `value` as a float.

    Arguments: paper: "interface", "arcface", "iam" or "pam", or the folder of a paper that was added.
    Raises: ValueError for a table that there is not.
    """
    files = {path.stem: path for path in (data_folder() / "published").glob("*_table*.csv")}
    files |= {f"{path.parent.name}_{path.stem}": path for path in PAPERS.glob("*/table*.csv")}
    if (name := f"{paper}_table{number}") not in files:
        raise ValueError(f"no printed table {paper} {number}; there are {', '.join(sorted(files))}")
    return pd.read_csv(files[name], dtype={"value_printed": str})


def value(table: pd.DataFrame, conditions: Mapping[str, object]) -> float | None:
    """The number of a printed table's line with these values in its columns; None without conditions, or where there is no such
    line or no number in it."""
    if not conditions:
        return None
    found = table[np.logical_and.reduce([table[column] == wanted for column, wanted in conditions.items()])]
    return float(found.value.iloc[0]) if len(found) and pd.notna(found.value.iloc[0]) else None


def share(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """By which share the errors change from one row to another, as `effects` has it of runs; None without a number.

    Arguments: ours, theirs: what two rows have on the same benchmarks, in percent of what is judged rightly.
    """
    errors = 100 - np.array([ours, theirs], dtype=np.float64)
    return None if errors.size == 0 or (errors <= 0).any() else float(np.expm1(np.log(errors[0] / errors[1]).mean()))


def change(table: pd.DataFrame, ours: Mapping[str, object], theirs: Mapping[str, object]) -> float | None:
    """`share` of two of a printed table's lines, by their conditions; None where either is not in it."""
    both = [[number] for conditions in (ours, theirs) if (number := value(table, conditions)) is not None]
    return share(*both) if len(both) == 2 else None


def repeat_runs() -> pd.DataFrame:
    """What people reported in public when they trained a setting again: source, setting, run, metric, and value as posted.

    A run that is "-" is a model that its author released.
    """
    return pd.read_csv(data_folder() / "published" / "repeat_runs.tsv", sep="\t", dtype=str)


def items() -> pd.DataFrame:
    """Every numbered table and figure of the papers: paper, item, what it shows, its notebook, what is claimed, and where."""
    lists = [data_folder() / "items.csv", *sorted(PAPERS.glob("*/items.csv"))]
    return pd.concat([pd.read_csv(path, keep_default_na=False) for path in lists], ignore_index=True).fillna("")
