"""ArcFace Table 11: networks that were trained with other losses, tuned further by the triplet loss."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers import glyphs
from marginface.book.papers.arcface.varied import SEEDS, above
from marginface.book.papers.interface.losses import SCALE, SMALL
from marginface.margins import ArcFace, CosFace, Margin, Softmax
from marginface.training.recipes import RECIPES, Recipe
from marginface.triplet import Triplet

# on the halves of LFW and CFP InterFace's Table VI has the same runs; on glyphs each loss is at its best
MARGINS: Mapping[str, Margin] = {
    "Softmax": Softmax(),
    "CosFace": CosFace(SCALE, 0.35),
    "ArcFace": ArcFace(SCALE, 0.5),
}
FEWER = "fewer: Softmax"  # first trained on fewer classes, as VGG2 has fewer people than MS1M
PRINTED = {FEWER: "VGG2@Softmax", "Softmax": "MS1M@Softmax", "SphereFace": "MS1M@SphereFace"}
PRINTED |= {"CosFace": "MS1M@CosineFace", "ArcFace": "MS1M@ArcFace"}
PAPERS = {FEWER: "softmax-vgg2", "Softmax": "softmax-ms1m", "SphereFace": "sphereface-ms1m"}
PAPERS |= {"CosFace": "cosface-ms1m", "ArcFace": "arcface-ms1m"}
TRIPLET = Triplet(0.35, "semi_hard", each=4)  # the paper prints neither margin nor mining, nor how long
TUNED = "then Triplet"
CONTROL = "Softmax, then Softmax"


def first(chosen: SimpleNamespace) -> dict[str, Recipe]:
    """The runs that the others start from."""
    if chosen.profile == "paper":
        return {name: replace(RECIPES[f"arcface/{key}"], backbone="LResNet100E-IR") for name, key in PAPERS.items()}
    on_glyphs = bed_of(chosen.data) == "glyphs"
    base = replace(glyphs.GLYPHS if on_glyphs else SMALL, data=chosen.data, epochs=chosen.epochs)
    margins = glyphs.MATCHED if on_glyphs else MARGINS
    found = {name: replace(base, margin=margins[name]) for name in MARGINS}
    if chosen.fewer:
        found = {FEWER: replace(found["Softmax"], data=chosen.fewer)} | found
    return found


def tuned(start: Recipe, chosen: SimpleNamespace) -> Recipe:
    """A run that goes on from another with triplets: learning rate 0.005, momentum 0 (§3.5)."""
    if chosen.profile == "paper":
        return replace(RECIPES["arcface/triplet-ms1m"], start=start)
    return replace(start, margin=TRIPLET, data=chosen.data, lr=0.005, momentum=0.0, epochs=chosen.further, start=start)


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Every loss, and it with triplets after it; and Softmax for as long again, with the triplets' learning rate."""
    starts = first(chosen)
    found: dict[str, Row] = {}
    for name, start in starts.items():
        found[name] = Row(start, {"dataset_loss": PRINTED[name]})
        found[f"{name}, {TUNED}"] = Row(tuned(start, chosen), {"dataset_loss": f"{PRINTED[name]}, MS1M@Triplet"})
    found[CONTROL] = Row(replace(tuned(starts["Softmax"], chosen), margin=Softmax()))
    return found


def claims(results: Results) -> list[Above]:
    """§3.5: fewer identities first “can be obviously improved”, Softmax “can be further improved”, and the excellence of the
    losses with a margin “can be kept and further improved”."""
    return [above(results, f"{name}, {TUNED}", name) for name in PRINTED if name in results.rows]


def explored(results: Results) -> list[Above]:
    """Whether it is the triplets, and whether they give more to what was weaker; fewer identities first against all of them."""
    softmax, arcface = f"Softmax, {TUNED}", f"ArcFace, {TUNED}"
    more = replace(
        above(results, softmax, "Softmax"),
        row=(softmax, "ArcFace"),
        over=("Softmax", arcface),
        text="half of what triplets add to Softmax beyond what they add to ArcFace",
        printed=None,
    )
    found = [above(results, softmax, CONTROL), more]
    return found + ([above(results, f"{FEWER}, {TUNED}", softmax)] if FEWER in results.rows else [])


TABLE11 = Item(
    "ArcFace",
    "Table 11",
    notebook="arcface/table11",
    parameters={"data": SMALL.data, "epochs": SMALL.epochs, "further": 3, "fewer": ""},
    rows=rows,
    seeds=SEEDS,
    claims=claims,
    explored=explored,
    beds={
        "glyphs": Bed(
            SEEDS,
            {"data": glyphs.GLYPHS.data, "epochs": glyphs.GLYPHS.epochs, "further": 1, "fewer": "glyphs/300/32"},
        )
    },
)
