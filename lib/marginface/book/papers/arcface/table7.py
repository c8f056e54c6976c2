"""ArcFace Table 7: the losses compared on verification, here on the halves of LFW and CFP."""

from dataclasses import dataclass, replace

import pandas as pd

from marginface.book import published
from marginface.book.papers import comparison
from marginface.book.verdicts import Verdict, combine, of_increase
from marginface.margins import ArcFace, CosFace, InterFace, Margin, NormFace, Softmax
from marginface.training import Run
from marginface.training.recipes import RECIPES, Recipe

SEEDS = [0, 1, 2]
SCALE, M = 16.0, 0.2  # s and ArcFace's m for 936 people; the paper has 64 and 0.5 for 85 thousand

# chosen on pairs of fold 5's people, with those of folds 1 to 4 to train on
SMALL = Recipe(
    ArcFace(SCALE, M),
    data="lfw+cfp/first/112",
    backbone="ResNet10E-IR-w24",
    embedding_dim=128,
    epochs=16,
    batch_size=32,
    lr=0.05,
    schedule="cosine",
    warmup=0.05,
    normalisation="fixed",
    flip=0.5,
)


@dataclass(frozen=True)
class Row:
    """A row of Table 7: what the paper calls it (None where it has no such row), and how it is trained here."""

    printed: str | None
    recipe: Recipe


def table7_rows(scale: float = SCALE, m: float = M, data: str = SMALL.data, epochs: int = SMALL.epochs) -> dict[str, Row]:
    """The losses of Table 7 and two more, by the names they have here; SphereFace is not among them.

    `m` is ArcFace's and InterFace's. CosFace has 3/4 of it, about what 0.35 is to 0.5 in the paper.
    """
    losses: dict[str, tuple[str | None, Margin]] = {
        "Softmax": ("Softmax", Softmax()),
        "NormFace": (None, NormFace(scale)),
        "CosFace": ("CosineFace (m=0.35)", CosFace(scale, 0.75 * m)),
        "ArcFace": ("ArcFace(m=0.5)", ArcFace(scale, m)),
        "InterFace cid&ct": (None, InterFace.cid_ct(scale=scale, m=m)),
    }
    base = replace(SMALL, data=data, epochs=epochs)
    return {name: Row(printed, replace(base, margin=margin)) for name, (printed, margin) in losses.items()}


def baselines(data: str = SMALL.data) -> dict[str, Recipe]:
    """What needs no training: pixels, and their principal components."""
    size = int(data.rsplit("/", 1)[1])
    fitted = Recipe(NormFace(), data=data, normalisation="fixed")
    return {
        "raw pixels": replace(fitted, backbone="Pixels", embedding_dim=size * size),
        "eigenfaces": replace(fitted, backbone="Eigenfaces", embedding_dim=128),
    }


def paper_rows() -> dict[str, Row]:
    """The same table by the paper's own recipe, on MS1M."""
    return {
        "Softmax": Row("Softmax", RECIPES["arcface/softmax-ms1m"]),
        "SphereFace": Row(r"SphereFace (m=4, \lambda = 5)", RECIPES["arcface/sphereface-ms1m"]),
        "CosFace": Row("CosineFace (m=0.35)", RECIPES["arcface/cosface-ms1m"]),
        "ArcFace": Row("ArcFace(m=0.5)", RECIPES["arcface/arcface-ms1m"]),
    }


def recipes(rows: dict[str, Row]) -> dict[str, Recipe]:
    return {name: row.recipe for name, row in rows.items()}


def table7(rows: dict[str, Row], runs: dict[str, list[Run]]) -> pd.DataFrame:
    """Table 7 as printed beside what was measured, in percent: the mean over seeds with its 95 % interval."""
    printed = published.table("arcface", 7)
    lines = []
    for name, results in runs.items():
        line = {"loss": name}
        for test in comparison.tests_of(runs):
            if (printed.benchmark == test).any():
                row = rows.get(name)
                match = printed[(printed.method == (row.printed if row else None)) & (printed.benchmark == test)]
                line[f"{test} printed, %"] = f"{match.value.iloc[0]:.2f}" if len(match) else "–"
            line[f"{test} measured, %"] = comparison.mean(test, results)
        lines.append(line)
    return pd.DataFrame(lines)


def table7_verdicts(runs: dict[str, list[Run]]) -> list[Verdict]:
    """The sentences of §3.3 on Table 7 that compare two of its rows, on the tests that are the paper's, too."""
    every = comparison.tests_of(runs)
    tests = [test for test in ("LFW", "CFP-FP") if test in every] or every
    claims = [
        ("CosFace", "Softmax"),
        ("ArcFace", "Softmax"),
        ("ArcFace", "CosFace"),
    ]
    return [
        of_increase(comparison.difference(test, runs[better], runs[worse]), f"{better} over {worse} on {test}, in points")
        for better, worse in claims
        for test in tests
    ]


def table7_recorded() -> Verdict:
    """Table 7's verdict from the recorded runs."""
    return comparison.of_records(recipes(table7_rows()), SEEDS, lambda runs: combine(table7_verdicts(runs)), "arcface/table7")


def grid() -> list[Recipe]:
    """The recorded runs of Table 7."""
    trained = [row.recipe for row in table7_rows().values()]
    return [*baselines().values(), *(replace(recipe, seed=seed) for seed in SEEDS for recipe in trained)]
