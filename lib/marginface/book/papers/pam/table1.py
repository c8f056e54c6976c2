"""PAM Table 1: the parameters of training, read from the recipe that profile "paper" trains, beside what the paper says."""

import math
from collections.abc import Callable

import pandas as pd

from marginface.adjacent import PAM
from marginface.book import published
from marginface.book.items import Item
from marginface.book.verdicts import Claim, Verdict
from marginface.margins import CosFace
from marginface.regularizers import Fresh
from marginface.training.recipes import RECIPES, Recipe

RECIPE = RECIPES["pam/v1-vgg2"]
EPOCHS = 360


def _steps(recipe: Recipe) -> int:
    assert recipe.steps is not None
    return recipe.steps


def rate(recipe: Recipe, epoch: int) -> float:
    """The learning rate in an epoch of the paper's."""
    steps = _steps(recipe)
    return recipe.lr * recipe.course(epoch * steps // EPOCHS, steps)


def margin(recipe: Recipe) -> CosFace:
    assert isinstance(recipe.margin, CosFace)
    return recipe.margin


def term(recipe: Recipe) -> PAM:
    """PAM as a run builds it."""
    (fresh,) = recipe.regularizers
    assert isinstance(fresh, Fresh)
    built = fresh.build()
    assert isinstance(built, PAM)
    return built


# what the table prints, as the recipe has it
READ: dict[str, Callable[[Recipe], object]] = {
    "batch size": lambda r: r.batch_size,
    "moving average decay": lambda r: r.average,
    "image size": lambda r: r.data.rsplit("_", 1)[1].replace("x", "*"),
    "AM-Softmax scalar": lambda r: margin(r).scale,
    "epoch size": lambda r: _steps(r) // EPOCHS,
    "AM-Softmax margin": lambda r: margin(r).m,
    "embedding size": lambda r: r.embedding_dim,
    "PAM loss shrink rate": lambda r: term(r).shrink_rate,
    "random flip": lambda r: r.flip > 0,
    "LR of epoch 0~99": lambda r: rate(r, 0) if rate(r, 0) == rate(r, 99) else None,
    "keep probability": lambda r: round(1 - (r.dropout or 0), 12),
    "LR of epoch 100~199": lambda r: rate(r, 100) if rate(r, 100) == rate(r, 199) else None,
    "optimizer": lambda r: r.optimizer.upper(),
    "LR of epoch 200~360": lambda r: rate(r, 200) if rate(r, 200) == rate(r, EPOCHS) else None,
    "weight decay": lambda r: r.weight_decay,
}
# what its sentences add (§3, §4.1)
SENTENCES: dict[str, tuple[str, Callable[[Recipe], tuple[bool, str]]]] = {
    "R(j) at the start": (
        "R(j) is initialised to 1",
        lambda r: (bool((_bound(term(r)).R == 1).all()), "1, a class without extent"),
    ),
    "λ at first": (
        "the hyper parameter λ is set to 0 in the first 275 epochs",
        lambda r: (term(r).start_step == 275 * _steps(r) // EPOCHS, f"0 in the first {term(r).start_step:,} steps"),
    ),
    "network": ("Inception-ResNet-v1", lambda r: (r.backbone == "Inception-ResNet-v1", r.backbone)),
    "training set": ("VGGFace2 [11] is used as the training set", lambda r: (r.data.startswith("vggface2"), r.data)),
}
# what neither says, and what we take
UNSAID: dict[str, Callable[[Recipe], str]] = {
    "λ after 275 epochs": lambda r: f"{term(r).weight:g}; the paper: “we manually optimise λ”, on each test set, and no value",
    "what a class does that is twice in a batch": lambda r: f'repeats="{term(r).repeats}"',
    "whether a class is its own neighbour (Eq. 7)": lambda r: str(term(r).include_self),
    "weight decay, coupled or not": lambda r: f"coupled: added to the gradient that {r.optimizer} sees",
    "how often images are mirrored": lambda r: f"with probability {r.flip:g}",
    "pixels": lambda r: {"whitened": "each image whitened", "fixed": "less 127.5, over 128"}.get(
        r.normalisation, r.normalisation
    ),
    "what is averaged": lambda r: "the network's weights, which are then what is evaluated" if r.average else "nothing",
    "precision": lambda r: r.precision,
}


def _bound(loss: PAM) -> PAM:
    loss.bind(2, 3)
    return loss


def as_read(recipe: Recipe = RECIPE) -> pd.DataFrame:
    """Every printed parameter beside the recipe's, then the sentences, then what is not said."""
    lines: list[tuple[str, str, str]] = []
    for row in published.table("pam", 1).to_dict("records"):
        lines.append((row["parameter"], row["value_printed"], _shown(READ[row["parameter"]](recipe))))
    lines += [(name, f"“{sentence}”", read(recipe)[1]) for name, (sentence, read) in SENTENCES.items()]
    lines += [(name, "–", read(recipe)) for name, read in UNSAID.items()]
    return pd.DataFrame(lines, columns=["parameter", "the paper", "ours"])


def claims(recipe: Recipe = RECIPE) -> list[Claim]:
    """That the recipe is the printed one, line by line."""
    found = []
    for row in published.table("pam", 1).to_dict("records"):
        name, printed, ours = row["parameter"], row["value_printed"], READ[row["parameter"]](recipe)
        found.append(Claim(f"our recipe has the printed {name}", "Table 1", _same(printed, ours), f"{printed}: {_shown(ours)}"))
    for name, (sentence, read) in SENTENCES.items():
        holds, ours = read(recipe)
        found.append(Claim(f"our recipe has the printed {name}", "§3–4.1", holds, f"“{sentence}”: {ours}"))
    return found


def verdict(recipe: Recipe = RECIPE) -> Verdict:
    """A description has nothing to reproduce but itself: whether the recipe has all that is printed."""
    found = claims(recipe)
    wrong = tuple(f"not so: {claim.text}: {claim.evidence}" for claim in found if not claim.holds)
    unsaid = f"not printed: {', '.join(UNSAID)}"
    return (
        Verdict("contradicted", wrong, "computed")
        if wrong
        else Verdict("as printed", (f"{len(found)} settings", unsaid), "computed")
    )


def _shown(ours: object) -> str:
    """A setting in as few digits as it needs."""
    return f"{ours:g}" if isinstance(ours, float) else str(ours)


def _same(printed: str, ours: object) -> bool:
    if isinstance(ours, int | float) and not isinstance(ours, bool):
        return math.isclose(float(printed), ours)
    return printed == str(ours)


TABLE1 = Item("PAM", "Table 1", notebook="pam/table1", statements=lambda p: claims(), judge=lambda results: verdict())
