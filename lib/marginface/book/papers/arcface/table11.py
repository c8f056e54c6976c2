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
from marginface.data.catalog import is_known
from marginface.margins import ArcFace, CosFace, Margin, Softmax
from marginface.training.recipes import RECIPES, Recipe
from marginface.triplet import Triplet

# on the halves of LFW and CFP InterFace's Table VI has the same runs; on glyphs each loss is at its best
MARGINS: Mapping[str, Margin] = {
    "Softmax": Softmax(),
    "CosFace": CosFace(SCALE, 0.35),
    "ArcFace": ArcFace(SCALE, 0.5),
}
OTHER = "other set: "  # first trained on another set than the triplets, as the paper's first row on VGG2
FEWER = 300  # characters
PRINTED = {f"{OTHER}Softmax": "VGG2@Softmax", "Softmax": "MS1M@Softmax", "SphereFace": "MS1M@SphereFace"}
PRINTED |= {"CosFace": "MS1M@CosineFace", "ArcFace": "MS1M@ArcFace"}
PAPERS = {f"{OTHER}Softmax": "softmax-vgg2", "Softmax": "softmax-ms1m", "SphereFace": "sphereface-ms1m"}
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
    same = {name: replace(base, margin=margins[name]) for name in MARGINS}
    if not (sets := other_sets(chosen.data)):
        return same
    return {f"{OTHER}{name}": replace(recipe, data=sets[0]) for name, recipe in same.items()} | same


def other_sets(data: str) -> tuple[str, str] | None:
    """A set to train on first and another for the triplets after it, where there are two: LFW and CFP, or some characters and
    all of them, most of which are new."""
    if bed_of(data) == "glyphs":
        return f"glyphs/{FEWER}/{data.split('/')[2]}", data
    return (f"{data}/lfw", f"{data}/cfp") if is_known(f"{data}/lfw") else None


def tuned(name: str, start: Recipe, chosen: SimpleNamespace) -> Recipe:
    """A run that goes on from another with triplets: learning rate 0.005, momentum 0 (§3.5)."""
    if chosen.profile == "paper":
        return replace(RECIPES["arcface/triplet-ms1m"], start=start)
    sets = other_sets(chosen.data)
    data = sets[1] if sets and name.startswith(OTHER) else chosen.data
    return replace(start, margin=TRIPLET, data=data, lr=0.005, momentum=0.0, epochs=chosen.further, start=start)


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Every loss, and it with triplets after it; and Softmax for as long again, with the triplets' learning rate."""
    starts = first(chosen)
    found: dict[str, Row] = {}
    for name, start in starts.items():
        printed = PRINTED.get(name)
        found[name] = Row(start, {"dataset_loss": printed} if printed else {})
        found[f"{name}, {TUNED}"] = Row(
            tuned(name, start, chosen), {"dataset_loss": f"{printed}, MS1M@Triplet"} if printed else {}
        )
    found[CONTROL] = Row(replace(tuned("Softmax", starts["Softmax"], chosen), margin=Softmax()))
    return found


def claims(results: Results) -> list[Above]:
    """§3.5: what saw another set first “can be obviously improved”, Softmax “can be further improved”, and the excellence of
    the losses with a margin “can be kept and further improved”."""
    return [above(results, f"{name}, {TUNED}", name) for name in PRINTED if name in results.rows]


def explored(results: Results) -> list[Above]:
    """Whether it is the triplets, whether they give more to what was weaker, and what they do to a margin on another set."""
    softmax, arcface = f"Softmax, {TUNED}", f"ArcFace, {TUNED}"
    more = replace(
        above(results, softmax, "Softmax"),
        row=(softmax, "ArcFace"),
        over=("Softmax", arcface),
        text="half of what triplets add to Softmax beyond what they add to ArcFace",
        printed=None,
    )
    found = [above(results, softmax, CONTROL), more]
    pairs = [(f"{OTHER}{name}, {TUNED}", f"{OTHER}{name}") for name in MARGINS if f"{OTHER}{name}" not in PRINTED]
    return found + [above(results, *pair) for pair in pairs if pair[0] in results.rows]


TABLE11 = Item(
    "ArcFace",
    "Table 11",
    notebook="arcface/table11",
    parameters={"data": SMALL.data, "epochs": SMALL.epochs, "further": 3},
    rows=rows,
    seeds=SEEDS,
    claims=claims,
    explored=explored,
    beds={
        "glyphs": Bed(
            SEEDS,
            {"data": glyphs.GLYPHS.data, "epochs": glyphs.GLYPHS.epochs, "further": 1},
        )
    },
)
