"""ArcFace Table 7: the losses compared on verification, each at its own best and with the paper's scale and margin."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from marginface.book import published
from marginface.book.comparison import LISTS
from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results, beside
from marginface.book.obtain import Bed, Row, Runs
from marginface.book.papers import bases, choosing, faces, glyphs
from marginface.book.papers.arcface.varied import SEEDS
from marginface.book.papers.bases import CHOSEN, INTERFACE, LOWERED
from marginface.book.papers.choosing import AS_PRINTED, Loss
from marginface.book.papers.faces import FACES
from marginface.book.records import lookup
from marginface.data.catalog import other_half
from marginface.margins import ArcFace, CosFace, InterFace, Margin, NormFace, Softmax, SphereFace
from marginface.settings import Annealing, first
from marginface.training.recipes import RECIPES, Recipe, on_choice, with_seeds

if TYPE_CHECKING:
    from marginface.book.plots.display import Table

SMALLER = "ArcFace, smaller m"  # 4/5 of it, as 0.4 is of 0.5; where m was chosen, the next smaller that was tried
# what the paper calls the losses that are trained here
PRINTED = {
    "Softmax": {"method": "Softmax"},
    "SphereFace": {"method": r"SphereFace (m=4, \lambda = 5)"},
    "CosFace": {"method": "CosineFace (m=0.35)"},
    SMALLER: {"method": "ArcFace(m=0.4)"},
    "ArcFace": {"method": "ArcFace(m=0.5)"},
}
# of each test bed the losses at the scale and margin that were best for them on what is set aside
BEST: dict[str, dict[str, Loss]] = {
    "faces": {name: CHOSEN["faces"][name] for name in glyphs.MATCHED},
    "glyphs": {name: Loss(margin) for name, margin in glyphs.MATCHED.items()},
}
ANNEALED = {"faces": LOWERED, "glyphs": glyphs.ANNEALED}  # λ = 5 from the middle of a run on
LARGE = 112  # pixels
CLAIMED = tuple((name, "Softmax") for name in ("SphereFace", "CosFace", "ArcFace"))
CLAIMED += (("CosFace", "SphereFace"), ("ArcFace", "SphereFace"), ("ArcFace", "CosFace"))


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """The losses of Table 7 and two more, and what needs no training: pixels, and their principal components.

    On faces of 64 pixels and on glyphs each loss is at its best and with the paper's scale and margin, too: `scale`, and those
    that go with `m`. With ten thousand characters it is at what was its best with a thousand; at 112 pixels all have what suits
    ArcFace. With profile
    "paper" these are the paper's rows by its own recipe, on MS1M.
    """
    if chosen.profile == "paper":
        named = {"Softmax": "softmax", "SphereFace": "sphereface", "CosFace": "cosface", "ArcFace": "arcface"}
        found = {name: Row(RECIPES[f"arcface/{key}-ms1m"], PRINTED[name]) for name, key in named.items()}
        smaller = replace(found["ArcFace"].recipe, margin=ArcFace(64, 0.4))
        return found | {SMALLER: Row(smaller, PRINTED[SMALLER])}
    bed = bed_of(chosen.data)
    large = _is_large(chosen)
    base = replace(FACES if large else choosing.RECIPES[bed], data=chosen.data, epochs=chosen.epochs)
    losses = of_large() if large else BEST[bed] | {SMALLER: next_smaller(bed)}
    if _is_judged(chosen):
        losses |= as_printed(chosen.scale, chosen.m, ANNEALED[bed])
    return baselines(chosen.data) | {name: Row(loss.on(base), printed_of(name)) for name, loss in losses.items()}


def _is_large(chosen: SimpleNamespace) -> bool:
    """Whether images are such as the recipe at 112 pixels is for, where margins were chosen for ArcFace alone."""
    return chosen.profile != "paper" and bed_of(chosen.data) == "faces" and pixels_of(chosen.data) >= LARGE


def _is_judged(chosen: SimpleNamespace) -> bool:
    """Whether each loss is at its best for such images, and for so many classes."""
    return not _is_large(chosen) and chosen.data != glyphs.MANY


def next_smaller(bed: str) -> Loss:
    """ArcFace with the margin next below its best among those that were tried with the same scale."""
    best, tried = BEST[bed]["ArcFace"].margin, (loss.margin for loss in bases.CANDIDATES[bed]["ArcFace"])
    assert isinstance(best, ArcFace)
    below = [each for each in tried if isinstance(each, ArcFace) and each.scale == best.scale and first(each.m) < first(best.m)]
    return Loss(max(below, key=lambda each: first(each.m)))


def of_large() -> dict[str, Loss]:
    """The losses at 112 pixels, where ArcFace's margin alone was chosen, with the recipe, and CosFace has 3/4 of it."""
    s, m = faces.SCALE, faces.M
    return {"Softmax": Loss(Softmax()), "NormFace": Loss(NormFace(s))} | _with_margins(
        s, m, SphereFace(4, Annealing(), s), CosFace(s, 0.75 * m)
    )


def as_printed(s: float, m: float, annealing: Annealing) -> dict[str, Loss]:
    """The losses with a margin as printed where s = 64 and ArcFace's m = 0.5; SphereFace keeps the embeddings' norms."""
    own = _with_margins(s, m, SphereFace(4, annealing), CosFace(s, 0.7 * m))
    return {f"{name}, {AS_PRINTED}": loss for name, loss in own.items()}


def _with_margins(s: float, m: float, sphereface: SphereFace, cosface: CosFace) -> dict[str, Loss]:
    margins: dict[str, Margin] = {
        "SphereFace": sphereface,
        "CosFace": cosface,
        "ArcFace": ArcFace(s, m),
        INTERFACE: InterFace.cid_ct(scale=s, m=m),
        SMALLER: ArcFace(s, 0.8 * m),
    }
    return {name: Loss(margin) for name, margin in margins.items()}


def printed_of(name: str) -> dict[str, str]:
    """The line of the paper's table that a row stands beside, at its best or as printed."""
    return PRINTED.get(name.removesuffix(f", {AS_PRINTED}"), {})


def at_best(results: Results) -> Runs:
    """The runs of all rows but those as printed."""
    return {name: group for name, group in results.trained.items() if not name.endswith(AS_PRINTED)}


def baselines(data: str) -> dict[str, Row]:
    """What needs no training."""
    size = pixels_of(data)
    fitted = Recipe(NormFace(), data=data, normalisation="fixed")
    pixels = replace(fitted, backbone="Pixels", embedding_dim=size * size)
    eigenfaces = replace(fitted, backbone="Eigenfaces", embedding_dim=128)
    return {"raw pixels": Row(pixels, seeded=False), "eigenfaces": Row(eigenfaces, seeded=False)}


def pixels_of(data: str) -> int:
    """The side of the images, by the name of their data; that of aligned photographs where it says nothing."""
    sides = re.findall(r"/(\d+)(?=/|$)", data)
    return int(sides[-1]) if sides else LARGE


def claims(results: Results) -> list[Above]:
    """The sentences of §3.3 on Table 7 that compare two of its rows, on the tests that are the paper's, too.

    "Compared to Softmax, SphereFace, CosineFace and ArcFace improve the performance obviously"; "CosineFace and ArcFace
    obviously outperform SphereFace"; ArcFace is "slightly better than CosineFace". Not judged with settings that suit one of
    them, or that were chosen for a tenth as many classes.
    """
    pairs = CLAIMED if _is_judged(results.settings) else ()
    return [_above(results, *pair, test) for pair in pairs for test in _tests(results)]


def explored(results: Results) -> list[Above]:
    """The rows that are not in the paper's table, and ArcFace's margins. InterFace moves all logits, which may be nothing but
    another margin: hence ArcFace with a smaller one beside it."""
    pairs = [] if _is_judged(results.settings) else list(CLAIMED)
    pairs += [("NormFace", "Softmax"), ("ArcFace", SMALLER), (INTERFACE, "ArcFace"), (INTERFACE, SMALLER)]
    return [_above(results, *pair, test) for pair in pairs if pair[0] in results.runs for test in _tests(results)]


def tabulate(results: Results) -> pd.DataFrame:
    """What is printed beside what was measured, and every row's scale and margin."""
    table = beside(results)
    table.insert(1, "setting", [_setting(results.rows[name]) for name in table.row])
    return table


def _setting(row: Row) -> str:
    values = {"s": getattr(row.recipe.margin, "scale", None), "m": getattr(row.recipe.margin, "m", None)} if row.seeded else {}
    return ", ".join(f"{name} = {value:g}" for name, value in values.items() if value is not None) or "–"


def _tests(results: Results) -> list[str]:
    every = results.tests
    return [test for test in ("LFW", "CFP-FP") if test in every] or every


def _above(results: Results, row: str, over: str, test: str) -> Above:
    table = published.table("arcface", 7)
    printed = published.change(table[table.benchmark == test], results.rows[row].printed, results.rows[over].printed)
    return Above(row, over, (test,), f"{row} over {over} on {test}", printed, among=(row, over))


def printed_settings(results: Results) -> "Table":
    """Each loss with the paper's scale and margin over ArcFace with its own, and at its best over that; not judged. Where there
    are no such rows, the results' own table."""
    names = [name.removesuffix(f", {AS_PRINTED}") for name in results.runs if name.endswith(AS_PRINTED)]
    if not names:
        return results.table()
    tests = tuple(results.tests)

    def above(row: str, over: str) -> Above:
        """Only these two say how far they vary: a scale for many more classes may scatter as no other does."""
        return Above(row, over, tests, f"{row} over {over}", among=(row, over))

    return results.show(choosing.as_printed(results, names, "ArcFace", above))


def tried() -> pd.DataFrame:
    """The recipe at 112 pixels and settings beside its own with their errors on people set aside, as far as they were tried."""
    own, lines = FACES.to_json(), []
    for recipe in (FACES, *faces.SETTINGS):
        differs = [f"{name} = {value}" for name, value in recipe.to_json().items() if value != own.get(name)]
        runs = [run for run in map(lookup, with_seeds(on_choice(recipe), faces.SEEDS)) if run is not None]
        if runs:
            share = np.exp(np.mean([choosing.loss_of_choice("faces", run) for run in runs]))
            lines.append((", ".join(differs) or "the recipe above", f"{100 * share:.2f}"))
    return pd.DataFrame(lines, columns=["settings", "errors, %"])


TABLE7 = Item(
    "ArcFace",
    "Table 7",
    notebook="arcface/table7",
    parameters={"scale": 64.0, "m": 0.5, **choosing.PARAMETERS},
    rows=rows,
    seeds=SEEDS,
    claims=claims,
    explored=explored,
    compared=at_best,
    tabulate=tabulate,
    reads=("theta_histogram", *LISTS),
    beds={
        "other half": Bed(SEEDS, {"data": lambda asked: other_half(asked.data)}, joined=True),
        "faces, 112 pixels": Bed(SEEDS, {"data": FACES.data, "epochs": FACES.epochs}),
        "glyphs": Bed(range(10), choosing.ON_GLYPHS),
        glyphs.TEN_THOUSAND: Bed(range(3), choosing.ON_MANY),
    },
)
