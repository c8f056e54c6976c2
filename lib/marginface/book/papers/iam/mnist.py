"""IAM (Inter-class Angular Margin Loss): the MNIST example of §5.1, which is Tables 1 and 2 and Figure 2."""

from types import SimpleNamespace

import pandas as pd
from torch import nn

from marginface import backbones
from marginface.book import published
from marginface.book.effects import Above
from marginface.book.items import Item, Results
from marginface.book.obtain import Row
from marginface.book.verdicts import Claim, Verdict
from marginface.evaluation.statistics import estimate, wilson
from marginface.margins import CosFace, Margin, NormFace
from marginface.regularizers import IAM
from marginface.training.recipes import Recipe

SCALE = 10.0  # s of the MNIST example, which the paper does not print
FACE_SCALE = 30.0  # s of §5.2, for faces


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """The four losses of Table 2 for each scale s: the paper calls them Eq. (3) and [9][11], without and with IAM.

    β and m are printed. The rest is ours: scale, optimizer and learning rate were chosen on 10,000 images held out of the
    training set.
    """
    found = {}
    for s in chosen.scale:
        bases: dict[str, tuple[Margin, float | None]] = {
            f"scaled softmax, s = {s:g}": (NormFace(s), None),
            f"AM-Softmax (CosFace), m = {chosen.m:g}, s = {s:g}": (CosFace(s, chosen.m), chosen.m),
        }
        for base, (margin, m) in bases.items():
            for beta in (0.0, chosen.beta):
                name = f"{base} + {beta:g} × IAM" if beta else base
                found[name] = Row(_recipe(margin, beta, chosen.epochs), _printed(beta, m))
    return found


def _recipe(margin: Margin, beta: float, epochs: int) -> Recipe:
    return Recipe(
        margin,
        (IAM(beta),) if beta else (),
        epochs=epochs,
        batch_size=64,
        optimizer="adam",
        lr=1e-3,
        weight_decay=0.0,
        milestones=(0.6, 0.85),
    )


def _printed(beta: float, m: float | None) -> dict[str, object]:
    """The line of the printed table with these settings."""
    return {"beta": beta, "base_loss": "Eq.(3) scaled softmax"} if m is None else {"beta": beta, "m": m}


def pairs(results: Results) -> dict[str, str]:
    """Each row that has IAM, and the row that it adds IAM to."""
    return {name: base for name in results.rows if (base := name.split(" + ")[0]) != name}


def table1_verdict() -> Verdict:
    """Table 1 describes a network: whether the one that trains here has its layers, in its order."""
    rows = published.table("iam", 1).to_dict("records")
    printed = [(row["layer"], row["kernel"], row["outputs"]) for row in rows for _ in range(row["number"])]
    built = []
    for layer in backbones.create("IAM-Toy", embedding_dim=3, image_shape=(1, 28, 28)).modules():
        if isinstance(layer, nn.Conv2d):
            built.append(("conv", f"[{layer.kernel_size[0]},{layer.kernel_size[1]}]", str(layer.out_channels)))
        elif isinstance(layer, nn.MaxPool2d):
            built.append(("Max-pool", f"[{layer.kernel_size},{layer.kernel_size}]", "-"))
    claim = Claim("our network has the layers of Table 1", "Table 1", built == printed, f"{len(built)} layers in its order")
    return Verdict("as printed" if claim.holds else "contradicted", (f"{claim.text}: {claim.evidence}",), "computed")


def table2(results: Results) -> pd.DataFrame:
    """Table 2 as printed beside what was measured, in percent: mean and 95 % interval, standard deviation over runs."""
    printed, lines = published.table("iam", 2), []
    for name, row in results.rows.items():
        ours = estimate(results.values(name, ["accuracy"]))
        theirs = published.value(printed, row.printed)
        lines.append((name, "–" if theirs is None else f"{theirs:.2f}", ours.format(), f"{ours.std:.2f}"))
    columns = ["loss", "printed, %", "measured, %", "std"]
    return pd.DataFrame(lines, columns=columns)


def table2_claims(results: Results) -> list[Above]:
    """IAM improves both losses."""
    table, found = published.table("iam", 2), []
    for row, base in pairs(results).items():
        printed = published.change(table, results.rows[row].printed, results.rows[base].printed)
        found.append(Above(row, base, ("accuracy",), f"IAM on {base}", printed))
    return found


def figure2(results: Results) -> pd.DataFrame:
    """How the classes of Figure 2 lie on the sphere: test images, degrees, mean over runs and 95 % interval."""
    lines = []
    for name, group in results.runs.items():
        within, between = (estimate([run.metrics[m] for run in group]) for m in ("intra_angle", "inter_angle"))
        lines.append((name, within.format(".1f"), between.format(".1f")))
    columns = ["loss", "sample to its class centre, °", "class centre to the nearest other, °"]
    return pd.DataFrame(lines, columns=columns)


def figure2_claims(results: Results) -> list[Above]:
    """With IAM, samples lie closer to their centre, and centres further from each other."""
    return [
        claim
        for row, base in pairs(results).items()
        for claim in (
            Above(row, base, ("intra_angle",), f"IAM on {base}: within classes"),
            Above(row, base, ("inter_angle",), f"IAM on {base}: between centres", larger=True),
        )
    ]


Z = 1.96  # beyond it is one of twenty, by chance


def resolution_of_test_set(accuracy: float = 0.99, images: int = 10_000) -> str:
    """What one run on MNIST's test images can tell, and whether the printed gains of IAM are larger than that."""
    low, high = wilson(round(accuracy * images), images)
    table = published.table("iam", 2)
    gains = []
    for base, group in table.groupby("base_loss", sort=False):
        plain, added = (float(group.value[group.beta.gt(0) == with_iam].iloc[0]) / 100 for with_iam in (False, True))
        gain, wrong = round(images * (added - plain)), round(images * (2 - plain - added))
        least, most = gain / wrong**0.5, gain**0.5  # McNemar's, if the two err on no image in common, or on as many as they can
        told = "not explained by" if least > Z else "explained by" if most < Z else "perhaps explained by"
        gains.append(f"{base} {gain} images (z from {least:.1f} to {most:.1f}: {told} the choice of test images)")
    return (
        f"One run at {accuracy:.0%} on {images:,} images: 95 % interval [{100 * low:.2f}, {100 * high:.2f}] %. The paper's two "
        f"runs see the same images, and on how many only one of them errs is not printed: its gains are {'; '.join(gains)}."
    )


PARAMETERS = {"beta": 0.2, "m": 0.1, "epochs": 3}
TABLE1 = Item("IAM", "Table 1", notebook="iam/table2", judge=lambda results: table1_verdict())
TABLE2 = Item(
    "IAM",
    "Table 2",
    notebook="iam/table2",
    parameters=PARAMETERS | {"scale": (SCALE, FACE_SCALE)},
    rows=rows,
    claims=table2_claims,
    tabulate=table2,
)
FIGURE2 = Item(
    "IAM",
    "Figure 2",
    notebook="iam/figure2",
    parameters=PARAMETERS | {"scale": (SCALE,)},
    rows=rows,
    claims=figure2_claims,
    tabulate=figure2,
)
