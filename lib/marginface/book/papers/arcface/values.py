"""ArcFace Tables 5 and 6: weight decay, and the margin m, one value after the other."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers import glyphs
from marginface.book.papers.arcface.varied import SEEDS, above
from marginface.book.papers.interface.losses import SCALE, SMALL
from marginface.margins import ArcFace, NormFace, Softmax
from marginface.training.recipes import RECIPES, Recipe

WEIGHT_DECAY = (5e-6, 5e-5, 5e-4, 1e-3)
M = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
BEST_DECAY, BEST_M = 5e-4, 0.5  # what the paper goes on with


def _base(chosen: SimpleNamespace, paper: str) -> Recipe:
    """What all rows share, on either test bed, or by a recipe of the paper."""
    if chosen.profile == "paper":
        return RECIPES[paper]
    recipe = glyphs.GLYPHS if bed_of(chosen.data) == "glyphs" else SMALL
    return replace(recipe, data=chosen.data, epochs=chosen.epochs, backbone=chosen.backbone)


def decay_rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Table 5: Softmax with each weight decay.

    The printed values shrink weights by 1 - lr · decay in each of 200,000 steps, and hardly at all in the thousand of a run
    here, so larger ones are beside them.
    """
    base = replace(_base(chosen, "arcface/softmax-vgg2"), margin=Softmax())
    if chosen.profile == "paper":
        base = replace(base, backbone="SE-LResNet50E-IR")
    return {
        _decay(value): Row(replace(base, weight_decay=value), {"weight_decay": value} if value in WEIGHT_DECAY else {})
        for value in chosen.weight_decay
    }


def decay_claims(results: Results) -> list[Above]:
    """“when the weight decay value is set as 5e − 4, the verification accuracy reaches the highest point”."""
    return _best(results, _decay(BEST_DECAY), [_decay(value) for value in WEIGHT_DECAY])


def decay_explored(results: Results) -> list[Above]:
    """The values that the paper has not, against its choice."""
    others = [name for name, row in results.rows.items() if not row.printed]
    return [above(results, name, _decay(BEST_DECAY)) for name in others if _decay(BEST_DECAY) in results.rows]


def m_rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Table 6: ArcFace with each margin, and none; with profile "paper" LMobileNetE, and all the paper's steps or fewer."""
    base = replace(_base(chosen, "arcface/mobile-arcface-ms1m"), accumulate=chosen.accumulate)
    scale = chosen.scale
    if chosen.profile == "paper":
        assert isinstance(base.margin, ArcFace)
        scale, steps = base.margin.scale, chosen.steps or base.steps
        base = replace(base, steps=steps, backbone=chosen.backbone if chosen.backbone != NETWORK else base.backbone)
    elif chosen.steps:
        base = replace(base, steps=chosen.steps)
    return {
        f"m = {m:g}": Row(replace(base, margin=ArcFace(scale, m) if m else NormFace(scale)), {"m": m} if m in M else {})
        for m in chosen.m
    }


def m_claims(results: Results) -> list[Above]:
    """“the performance improves consistently from m = 0.2 on all datasets and gets saturated at m = 0.5. Then, the verification
    accuracy turns to decrease from m = 0.5”: each step up to 0.5, and each step beyond it."""
    steps = [(large, small) if large <= BEST_M else (small, large) for small, large in pairwise(M)]
    named = [tuple(f"m = {m:g}" for m in step) for step in steps]
    return [above(results, *step) for step in named if set(step) <= set(results.rows)]


def m_explored(results: Results) -> list[Above]:
    """The paper's choice against the ends of its range, and against no margin."""
    chosen = f"m = {BEST_M:g}"
    others = [f"m = {m:g}" for m in (0, M[0], M[-1])]
    return [above(results, chosen, other) for other in others if {chosen, other} <= set(results.rows)]


def _decay(value: float) -> str:
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _best(results: Results, best: str, names: list[str]) -> list[Above]:
    return [above(results, best, name) for name in names if name != best and {best, name} <= set(results.rows)]


NETWORK = SMALL.backbone
SE_NETWORK = f"SE-{NETWORK}"
ON_GLYPHS = {"data": glyphs.GLYPHS.data, "epochs": glyphs.GLYPHS.epochs}
TABLE5 = Item(
    "ArcFace",
    "Table 5",
    notebook="arcface/table5",
    parameters={
        "weight_decay": [*WEIGHT_DECAY, 5e-3, 2e-2],
        "data": SMALL.data,
        "epochs": SMALL.epochs,
        "backbone": SE_NETWORK,
    },
    rows=decay_rows,
    seeds=SEEDS,
    claims=decay_claims,
    explored=decay_explored,
    beds={"glyphs": Bed(SEEDS, ON_GLYPHS)},
)
TABLE6 = Item(
    "ArcFace",
    "Table 6",
    notebook="arcface/table6",
    parameters={
        "m": [0, *M],
        "scale": SCALE,
        "data": SMALL.data,
        "epochs": SMALL.epochs,
        "backbone": NETWORK,
        "steps": 0,
        "accumulate": 1,
    },
    rows=m_rows,
    seeds=SEEDS,
    claims=m_claims,
    explored=m_explored,
    beds={"glyphs": Bed(SEEDS, ON_GLYPHS | {"scale": glyphs.SCALE})},
)
