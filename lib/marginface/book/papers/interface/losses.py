"""InterFace's experiments: which losses its tables compare, and the recipe that trains them here."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Literal

from marginface.book.errors import bed_of
from marginface.book.obtain import Bed, Row
from marginface.book.papers import glyphs
from marginface.book.papers.faces import FACES
from marginface.book.papers.glyphs import GLYPHS
from marginface.book.parameters import OneOf
from marginface.data.catalog import other_half
from marginface.margins import ArcFace, CosFace, InterFace, Margin, RedefinedArcFace
from marginface.settings import Radians
from marginface.training.recipes import RECIPES

FIVE_SEEDS = [0, 1, 2, 3, 4]
SCALE = 16.0  # s for some thousand people; margins, α, a and b are the paper's
PAPER_SCALE = 64.0

# That of 112 pixels with less of what costs time and larger batches, so that 115 runs can be afforded. Of the scale, 16 and 32
# were compared on the pairs of fold 5, with people of folds 1 to 4 to train on; no test pair was looked at
SMALL = replace(
    FACES,
    margin=ArcFace(SCALE, 0.5),
    data="lfw+cfp/first/64",
    backbone="ResNet10E-IR-w16",
    epochs=10,
    batch_size=128,
    lr=0.1,
)
Sign = Literal["paper", "released"]
Unit = Literal["degrees", "radians"]
SIGNS = OneOf(("paper", "released"))
PARAMETERS = {"data": SMALL.data, "epochs": SMALL.epochs, "scale": SCALE}  # of every table's notebook
BEDS = {
    "other half": Bed(FIVE_SEEDS, {"data": lambda asked: other_half(asked.data)}, joined=True),
    # the margins, α, a and b are the paper's there, too
    "glyphs": Bed(range(10), {"data": GLYPHS.data, "epochs": GLYPHS.epochs, "scale": glyphs.SCALE}),
}

# what Tables II to V vary, and its values as printed
VARIED: dict[int, tuple[str, tuple[float, ...]]] = {
    2: ("a", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)),
    3: ("alpha", (0.06, 0.08, 0.10, 0.12, 0.14)),
    4: ("a", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)),
    5: ("b", (10, 20, 30, 40, 50, 60)),
}
# f moves all logits, and may be nothing but another margin: ArcFace with one that does in the mean what f of that sign does
CONTROLS = {"paper": ("ArcFace, m = 0.4", 0.4), "released": ("ArcFace, m = 0.6", 0.6)}
EQUAL_MARGINS = ((0.5, 0.0), (0.4, 0.1), (0.3, 0.2), (0.2, 0.3))  # (m1, m2) of Table I


def interface(
    number: int, value: float, alpha: float = 0.1, sign: Sign = "paper", unit: Unit = "degrees", scale: float = SCALE
) -> InterFace:
    """The loss of a row of Table `number`, 2 to 5, where the varied parameter has that value.

    Table III varies α at a = 0.2, and leaves `alpha` alone; `unit` is that of Table V's b.
    """
    if number == 2:
        return InterFace.cid_ct(scale=scale, alpha=alpha, a=value, sign=sign)
    if number == 3:
        return InterFace.cid_ct(scale=scale, alpha=value, sign=sign)
    if number == 4:
        return InterFace.did_ct(scale=scale, alpha=alpha, a=value, sign=sign)
    if number == 5:
        return InterFace.did_dt(
            scale=scale, alpha=alpha, b=math.radians(value) if unit == "degrees" else Radians(value), sign=sign
        )
    raise ValueError(f"InterFace selects parameters in Tables 2 to 5, not in {number}")


def variants(alpha: float = 0.1, sign: Sign = "paper", scale: float = SCALE) -> dict[str, Margin]:
    """The three losses that the paper settles on."""
    return {
        "InterFace cid&ct": InterFace.cid_ct(scale=scale, alpha=alpha, sign=sign),
        "InterFace did&ct": InterFace.did_ct(scale=scale, alpha=alpha, sign=sign),
        "InterFace did&dt": InterFace.did_dt(scale=scale, alpha=alpha, sign=sign),
    }


def table1(scale: float = SCALE) -> dict[str, Margin]:
    """RArc with m1 + m2 = 0.5. (0.5, 0) is trained as ArcFace, which it equals, and so is one run with every other table."""
    return {
        f"m1 = {m1:g}, m2 = {m2:g}": RedefinedArcFace(scale, m1, m2) if m2 else ArcFace(scale, m1) for m1, m2 in EQUAL_MARGINS
    }


def selection(
    number: int,
    alpha: float = 0.1,
    values: tuple[float, ...] | None = None,
    sign: Sign = "paper",
    unit: Unit = "degrees",
    scale: float = SCALE,
) -> dict[str, Margin]:
    """The losses of Table 2 to 5, and two rows that have no effect to show: ArcFace, and InterFace with α = 0, hence f = 0.

    The two are one loss, computed in two ways: how far they differ is what rounding does to a run.
    """
    name, printed = VARIED[number]
    rows: dict[str, Margin] = {"ArcFace": ArcFace(scale, 0.5), "f = 0": InterFace.cid_ct(scale=scale, alpha=0.0)}
    label = {"alpha": "α", "b": "b"}.get(name, name)
    mark = "°" if name == "b" and unit == "degrees" else ""
    chosen = printed if values is None else values
    return rows | {f"{label} = {v:g}{mark}": interface(number, v, alpha, sign, unit, scale) for v in chosen}


def table6(alpha: float = 0.1, sign: Sign = "paper", scale: float = SCALE) -> dict[str, Margin]:
    """What Tables VI to VIII compare, as far as it is trained here."""
    return {"ArcFace": ArcFace(scale, 0.5), "CosFace": CosFace(scale, 0.35)} | variants(alpha, sign, scale)


def signs(alpha: float = 0.1, scale: float = SCALE) -> dict[str, Margin]:
    """The three losses with f as printed and as released."""
    both: tuple[Sign, Sign] = ("paper", "released")
    return {f"{name}, {sign}": margin for sign in both for name, margin in variants(alpha, sign, scale).items()}


def rows(margins: dict[str, Margin], chosen: SimpleNamespace, number: int) -> dict[str, Row]:
    """A row for each loss; with profile "paper" by the paper's own recipe: CASIA for Tables I to V, MS1MV2 for VI to VIII."""
    if chosen.profile == "paper":
        base = RECIPES["interface/arcface-casia" if number <= 5 else "interface/arcface-ms1mv2"]
    else:
        recipe = GLYPHS if bed_of(chosen.data) == "glyphs" else SMALL
        base = replace(recipe, data=chosen.data, epochs=chosen.epochs)
    return {name: Row(replace(base, margin=margin)) for name, margin in margins.items()}


def control(chosen: SimpleNamespace) -> dict[str, Margin]:
    """ArcFace with the margin that does in the mean what f does; with profile "paper" none."""
    if chosen.profile == "paper":
        return {}
    name, m = CONTROLS[getattr(chosen, "sign", "paper")]
    return {name: ArcFace(scale_of(chosen), m)}


def scale_of(chosen: SimpleNamespace) -> float:
    """s: what was asked for, and with profile "paper" the paper's."""
    return PAPER_SCALE if chosen.profile == "paper" else chosen.scale
