"""What is printed of the losses against ArcFace, in their own papers or quoted by InterFace, beside what is found here."""

from collections.abc import Sequence

import pandas as pd

from marginface.book import published
from marginface.book.effects import Effect
from marginface.book.papers.field.methods import BASE, METHODS

TABLES = {6: "VI", 7: "VII", 8: "VIII"}  # InterFace's of other people's numbers
# what is in Table VII as MagFace's authors trained it, ArcFace as well
MAGFACE = {"MagFace": "MagFace+", "Softmax": "Softmax*", "SphereFace": "SphereFace*", "CosFace": "CosFace*"}
LINE = ["loss", "source", "trained on", "ArcFace trained"]


def printed() -> pd.DataFrame:
    """A line for each number: the columns of `LINE`, the test, and what the loss and ArcFace have, in percent of what is right.

    Several sources have one loss on one test, and do not agree.
    """
    frames = [published.table("field", 1)]
    for number, roman in TABLES.items():
        table = published.table("interface", number)
        for name, method in METHODS.items():
            alike = number == 7 and name in MAGFACE
            row, base = (MAGFACE[name], "ArcFace*") if alike else (method.quoted, "Arcface")
            theirs = table[table.method == base].rename(columns={"value": "arcface"})[["benchmark", "metric", "arcface"]]
            own = table[table.method == row].merge(theirs, on=["benchmark", "metric"])
            source = f"InterFace, Table {roman}" + ("" if own.ours.any() else ", quoted")
            frames.append(own.assign(loss=name, source=source, alike=int(alike)))
    found = pd.concat(frames).dropna(subset=["value", "arcface"]).query(f"loss != '{BASE}'")
    found["trained on"] = found.train_set.str.replace(r" \[\d+](, \[\d+])*", "", regex=True)
    found["ArcFace trained"] = found.alike.map({0: "by others", 1: "by the same people"})
    found["test"] = found.benchmark + found.metric.str.extract(r"(@far=.+)_pct")[0].str.replace("@far=", " at ").fillna("")
    return found[[*LINE, "test", "value", "arcface"]]


def beside(found: Sequence[Effect]) -> pd.DataFrame:
    """A line for each loss, source and training set: by which share its errors differ from ArcFace's, in the geometric mean of
    the tests that both have, as printed and here, on each test bed.

    Arguments: found: the differences that are known here, such as "AdaFace over ArcFace".
    """
    here = {(each.bed, each.claim.text): each.difference for each in found}
    lines: list[dict[str, str]] = []
    for _, own in printed().groupby(LINE, sort=False):
        line = {name: str(own[name].iloc[0]) for name in LINE} | {"tests": ", ".join(own.test)}
        share = published.share(own.value.tolist(), own.arcface.tolist())
        line["printed"] = "–" if share is None else f"{100 * share:+.1f} %"
        claim = f"{line['loss']} over {BASE}"
        lines.append(line | {f"here, {bed}": here.get((bed, claim), "–") for bed in dict.fromkeys(bed for bed, _ in here)})
    lines.sort(key=lambda line: [*METHODS].index(line["loss"]))
    return pd.DataFrame(lines)


def without() -> list[str]:
    """The losses of which no number that was at hand stands beside one of ArcFace's."""
    known = {BASE, *printed().loss}
    return [name for name in METHODS if name not in known]
