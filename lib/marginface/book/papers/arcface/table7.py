"""ArcFace Table 7: the losses compared on verification, here on the halves of LFW and CFP."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book import published
from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers import faces, glyphs
from marginface.book.papers.arcface.varied import SEEDS
from marginface.book.papers.choosing import loss_of_choice
from marginface.book.papers.faces import FACES
from marginface.book.records import lookup
from marginface.margins import ArcFace, CosFace, InterFace, Margin, NormFace, Softmax, SphereFace
from marginface.settings import Annealing
from marginface.training.recipes import RECIPES, Recipe, on_choice, with_seeds

SMALLER = "ArcFace, smaller m"  # 4/5 of it, as 0.4 is of 0.5; on glyphs the next smaller of those that were tried
# what the paper calls the losses that are trained here
PRINTED = {
    "Softmax": {"method": "Softmax"},
    "SphereFace": {"method": r"SphereFace (m=4, \lambda = 5)"},
    "CosFace": {"method": "CosineFace (m=0.35)"},
    SMALLER: {"method": "ArcFace(m=0.4)"},
    "ArcFace": {"method": "ArcFace(m=0.5)"},
}


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """The losses of Table 7 and two more, and what needs no training: pixels, and their principal components.

    `m` is ArcFace's and InterFace's. CosFace has 3/4 of it, about what 0.35 is to 0.5 in the paper. On glyphs each loss has the
    scale and margin that were best for it on characters set aside. With profile "paper" these are the paper's rows by its own
    recipe, on MS1M.
    """
    if chosen.profile == "paper":
        named = {"Softmax": "softmax", "SphereFace": "sphereface", "CosFace": "cosface", "ArcFace": "arcface"}
        found = {name: Row(RECIPES[f"arcface/{key}-ms1m"], PRINTED[name]) for name, key in named.items()}
        smaller = replace(found["ArcFace"].recipe, margin=ArcFace(64, 0.4))
        return found | {SMALLER: Row(smaller, PRINTED[SMALLER])}
    base = replace(FACES, data=chosen.data, epochs=chosen.epochs)
    margins = _margins(chosen.scale, chosen.m)
    if bed_of(chosen.data) == "glyphs":
        base, margins = replace(glyphs.GLYPHS, data=chosen.data, epochs=chosen.epochs), dict(glyphs.MATCHED)
        margins[SMALLER] = ArcFace(glyphs.SCALE, 0.5)
    trained = {name: Row(replace(base, margin=margin), PRINTED.get(name, {})) for name, margin in margins.items()}
    return baselines(chosen.data) | trained


def _margins(s: float, m: float) -> dict[str, Margin]:
    return {
        "Softmax": Softmax(),
        "NormFace": NormFace(s),
        "SphereFace": SphereFace(4, Annealing(), s),
        "CosFace": CosFace(s, 0.75 * m),
        "ArcFace": ArcFace(s, m),
        "InterFace cid&ct": InterFace.cid_ct(scale=s, m=m),
        SMALLER: ArcFace(s, 0.8 * m),
    }


def baselines(data: str) -> dict[str, Row]:
    """What needs no training."""
    size = int(data.rsplit("/", 1)[1])
    fitted = Recipe(NormFace(), data=data, normalisation="fixed")
    pixels = replace(fitted, backbone="Pixels", embedding_dim=size * size)
    eigenfaces = replace(fitted, backbone="Eigenfaces", embedding_dim=128)
    return {"raw pixels": Row(pixels, seeded=False), "eigenfaces": Row(eigenfaces, seeded=False)}


def claims(results: Results) -> list[Above]:
    """The sentences of §3.3 on Table 7 that compare two of its rows, on the tests that are the paper's, too.

    "Compared to Softmax, SphereFace, CosineFace and ArcFace improve the performance obviously"; "CosineFace and ArcFace
    obviously outperform SphereFace"; ArcFace is "slightly better than CosineFace".
    """
    pairs = [(name, "Softmax") for name in ("SphereFace", "CosFace", "ArcFace")]
    pairs += [("CosFace", "SphereFace"), ("ArcFace", "SphereFace"), ("ArcFace", "CosFace")]
    return [_above(results, *pair, test) for pair in pairs for test in _tests(results)]


def explored(results: Results) -> list[Above]:
    """The rows that are not in the paper's table, and ArcFace's margins. InterFace moves all logits, which may be nothing but
    another margin: hence ArcFace with a smaller one beside it."""
    pairs = [("NormFace", "Softmax"), ("ArcFace", SMALLER), ("InterFace cid&ct", "ArcFace"), ("InterFace cid&ct", SMALLER)]
    return [_above(results, *pair, test) for pair in pairs if pair[0] in results.runs for test in _tests(results)]


def _tests(results: Results) -> list[str]:
    every = results.tests
    return [test for test in ("LFW", "CFP-FP") if test in every] or every


def _above(results: Results, row: str, over: str, test: str) -> Above:
    table = published.table("arcface", 7)
    printed = published.change(table[table.benchmark == test], results.rows[row].printed, results.rows[over].printed)
    return Above(row, over, (test,), f"{row} over {over} on {test}", printed)


def tried() -> pd.DataFrame:
    """Settings of the recipe on faces with their errors on people set aside as far as they were tried; the first is taken."""
    own, lines = FACES.to_json(), []
    for recipe in (FACES, *faces.SETTINGS):
        differs = [f"{name} = {value}" for name, value in recipe.to_json().items() if value != own.get(name)]
        runs = [run for run in map(lookup, with_seeds(on_choice(recipe), faces.SEEDS)) if run is not None]
        if runs:
            share = np.exp(np.mean([loss_of_choice("faces", run) for run in runs]))
            lines.append((", ".join(differs) or "the recipe above (chosen)", f"{100 * share:.2f}"))
    return pd.DataFrame(lines, columns=["settings", "errors, %"])


TABLE7 = Item(
    "ArcFace",
    "Table 7",
    notebook="arcface/table7",
    parameters={"scale": 16.0, "m": 0.2, "data": FACES.data, "epochs": FACES.epochs},
    rows=rows,
    seeds=SEEDS,
    claims=claims,
    explored=explored,
    beds={"glyphs": Bed(range(10), {"data": glyphs.GLYPHS.data, "epochs": glyphs.GLYPHS.epochs})},
)
