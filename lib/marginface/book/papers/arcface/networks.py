"""ArcFace Tables 2 to 4: the input, the output and the unit of its residual networks, one at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers.arcface.varied import SEEDS, above
from marginface.book.papers.glyphs import GLYPHS
from marginface.book.papers.interface.losses import SMALL
from marginface.margins import Softmax
from marginface.training.recipes import RECIPES, Recipe

NO_DROPOUT = "SE-LResNetE, no dropout"
STRIDE_FIRST, RELU = "SE-LResNetE-IR, stride in the first", "SE-LResNetE-IR, ReLU"
# rows as they are called here, without the depth, and the paper's networks
INPUTS = {f"SE-{large}ResNet{output}": f"SE-{large}ResNet50{output}" for output in "DE" for large in ("", "L")}
OUTPUTS = {f"SE-LResNet{output}": f"SE-LResNet50{output}" for output in "ABCDE"}
OUTPUTS |= {f"SE-LResNet{output}-IR": f"SE-LResNet50{output}-IR" for output in "ADE"}
UNITS = {name: network for name, network in OUTPUTS.items() if name.startswith("SE-LResNetE")}
# what the paper has no row for: output E without its dropout, and the improved unit with one of its parts as it was
MORE: Mapping[int, dict[str, str]] = {
    2: {},
    3: {NO_DROPOUT: "SE-LResNet50E"},
    4: {STRIDE_FIRST: "SE-LResNet50E-IR-S1", RELU: "SE-LResNet50E-IR-ReLU"},
}
# first maps that are as large as the image cost four times as much: smaller crops, fewer characters and shorter runs, so that
# one takes a minute on one thread. Nothing of it was chosen by trying
LARGE_FACES = replace(SMALL, margin=Softmax(), data="lfw+cfp/first/32", epochs=6, batch_size=64, lr=0.05)
LARGE_GLYPHS = replace(GLYPHS, margin=Softmax(), data="glyphs/500/32", epochs=2, batch_size=64, lr=0.05, dropout=None)


def base(chosen: SimpleNamespace) -> Recipe:
    """What all rows share: Softmax, the options of the network apart; "paper" is Softmax@VGG2."""
    if chosen.profile == "paper":
        return replace(RECIPES["arcface/softmax-vgg2"], dropout=None)
    recipe = LARGE_GLYPHS if bed_of(chosen.data) == "glyphs" else LARGE_FACES
    return replace(recipe, data=chosen.data, epochs=chosen.epochs)


def network(name: str, chosen: SimpleNamespace) -> str:
    """The paper's network with the depth and the width that were asked for, such as "SE-LResNet10E-IR-w16"."""
    return name if chosen.profile == "paper" else name.replace("50", str(chosen.depth), 1) + f"-w{chosen.width}"


def rows(number: int, printed: Mapping[str, str], chosen: SimpleNamespace) -> dict[str, Row]:
    """The networks of a table, and those that test what it says of a part of them."""
    shared = base(chosen)
    found = {
        name: Row(replace(shared, backbone=network(known, chosen)), {"backbone": known}) for name, known in printed.items()
    }
    for name, known in MORE[number].items():
        recipe = replace(shared, backbone=network(known, chosen), dropout=0.0 if name == NO_DROPOUT else None)
        found[name] = Row(recipe)
    return found


def compared(pairs: Sequence[tuple[str, str]], results: Results) -> list[Above]:
    """Of each pair of rows that the first errs less."""
    return [above(results, *pair) for pair in pairs]


# "It is obvious from Table 2 that choosing larger feature maps during training obtains higher verification accuracy"
LARGER = [(f"SE-LResNet{output}", f"SE-ResNet{output}") for output in "DE"]
# "The option E (BN-Dropout-FC-BN) obtains the best performance"; "Dropout can effectively act as the regularisation term to
# avoid over-fitting and obtain better generalisation"
BEST = [("SE-LResNetE", f"SE-LResNet{output}") for output in "ABCD"]
BEST += [("SE-LResNetE-IR", f"SE-LResNet{output}-IR") for output in "AD"]
BEST += [("SE-LResNetE", NO_DROPOUT)]
# what is printed and not said: without L, D is ahead of E; B is the last
WITHOUT_L = [("SE-ResNetD", "SE-ResNetE"), ("SE-LResNetE", "SE-LResNetD")]
LAST = [(f"SE-LResNet{output}", "SE-LResNetB") for output in "ACD"]
IMPROVED = ("SE-LResNetE-IR", "SE-LResNetE")  # the proposed unit "can obviously improve the verification performance"
PARTS = [("SE-LResNetE-IR", STRIDE_FIRST), ("SE-LResNetE-IR", RELU)]


def _item(
    number: int, printed: Mapping[str, str], claimed: Sequence[tuple[str, str]], explored: Sequence[tuple[str, str]]
) -> Item:
    return Item(
        "ArcFace",
        f"Table {number}",
        notebook=f"arcface/table{number}",
        parameters={"data": LARGE_FACES.data, "epochs": LARGE_FACES.epochs, "depth": 10, "width": 16},
        rows=partial(rows, number, printed),
        seeds=SEEDS,
        claims=partial(compared, claimed),
        explored=partial(compared, explored),
        beds={"glyphs": Bed(SEEDS, {"data": LARGE_GLYPHS.data, "epochs": LARGE_GLYPHS.epochs})},
    )


TABLE2 = _item(2, INPUTS, LARGER, WITHOUT_L)
TABLE3 = _item(3, OUTPUTS, BEST, LAST)
TABLE4 = _item(4, UNITS, [IMPROVED], PARTS)
