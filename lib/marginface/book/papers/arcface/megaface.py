"""ArcFace Table 9 and Figure 8: people looked for among strangers, with noise among them and without it."""

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marginface.book import comparison, published
from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row, Runs
from marginface.book.papers import glyphs
from marginface.book.papers.arcface import table11
from marginface.book.papers.arcface.varied import SEEDS
from marginface.book.papers.interface.losses import SCALE
from marginface.margins import ArcFace
from marginface.training import Run
from marginface.training.recipes import RECIPES

Floats = NDArray[np.float64]

SEARCH = "planted identification"  # our own noise; a reader's MegaFace is called by its name
RANK, TAR = "rank-1", "TAR@FAR=1e-06"
MEASURES = {RANK: "rank1@1e6_pct", TAR: "tar@far=1e-6_pct"}  # as the printed tables call them
TITLES = {RANK: "rank 1", TAR: "TAR at FAR 1e-6"}
CLEANED = "cleaned"
OVERLAP = "some known"  # rows of networks that have learned people who are looked for
SMALLER = "ArcFace, smaller m"  # 0.4 beside 0.5 in the paper, on faces here, and 0.5 beside 0.6 on glyphs
PRINTED = {
    "Softmax": "Softmax",
    f"{table11.OTHER}Softmax, {table11.TUNED}": "Softmax-pretrain@VGG2, Triplet-finetune",
    f"Softmax, {table11.TUNED}": "Softmax-pretrain, Triplet-finetune",
    "CosFace": "CosineFace(m=0.35)",
    SMALLER: "ArcFace(m=0.4)",
    "ArcFace": "ArcFace(m=0.5)",
}
# the last two rows of the printed table have one name; the second is of LResNet100E-IR, with which Table 9 is compared
WITHOUT_OVERLAP = {"Softmax": {"row": 1}, "CosFace": {"row": 2}, "ArcFace": {"row": 5}}
CURVES = {"CMC": ("cmc", "rank"), "ROC": ("roc", "FAR")}


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Rows of Table 11, and ArcFace with a smaller margin, which Table 6 has, too: nothing is trained for this table alone."""
    theirs = table11.rows(chosen)
    if chosen.profile == "paper":
        smaller = replace(RECIPES["arcface/arcface-ms1m"], margin=ArcFace(64, 0.4))
    else:
        on_glyphs = bed_of(chosen.data) == "glyphs"
        scale, m = (glyphs.SCALE, 0.5) if on_glyphs else (SCALE, 0.4)
        smaller = replace(theirs["ArcFace"].recipe, margin=ArcFace(scale, m))
    recipes = {name: row.recipe for name, row in theirs.items()} | {SMALLER: smaller}
    return {name: Row(recipes[name], {"method": printed}) for name, printed in PRINTED.items() if name in recipes}


def search_of(results: Results) -> str:
    """The search that all runs have: MegaFace where a reader has it, else that with noise of ours."""
    first = next(iter(results.runs.values()))[0]
    return "MegaFace" if f"MegaFace {RANK}" in first.metrics else SEARCH


def cleaned(run: Run, search: str) -> Run:
    """The run as if what it has of the search without noise were what it has of the search."""
    metrics = run.metrics | {f"{search} {measure}": run.metrics[f"{search}(R) {measure}"] for measure in MEASURES}
    parts = {
        key.replace(f"{search}(R) ", f"{search} "): array
        for key, array in run.arrays.items()
        if key.startswith(f"{search}(R) ")
    }
    return replace(run, metrics=metrics, arrays=run.arrays | parts)


def compared(results: Results) -> Runs:
    """Every row twice, with the noise and without it."""
    search = search_of(results)
    without = {f"{name}, {CLEANED}": [cleaned(run, search) for run in group] for name, group in results.trained.items()}
    return results.trained | without


def _above(results: Results, row: str, over: str, measure: str) -> Above:
    text = f"{row} over {over}, {TITLES[measure]}"
    return Above(row, over, (f"{search_of(results)} {measure}",), text, _printed(results, row, over, measure))


def _printed(results: Results, row: str, over: str, measure: str) -> float | None:
    """By which share the paper's errors change, on faces alone."""
    if not _on_faces(results):
        return None
    table = _table(results)
    table = table[table.metric == MEASURES[measure]]
    both = []
    for name in (row, over):
        kind, benchmark = name.removesuffix(f", {CLEANED}"), "MegaFace(R)" if name.endswith(CLEANED) else "MegaFace"
        value = published.value(table[table.benchmark == benchmark], results.rows[kind].printed)
        if value is None:
            return None
        both.append([value])
    return published.share(*both)


def _on_faces(results: Results) -> bool:
    return bed_of(next(iter(results.rows.values())).recipe.data) == "faces"


def _table(results: Results) -> pd.DataFrame:
    """The printed table."""
    return published.table("arcface", int(results.item.name.split()[1]))


def claims(results: Results) -> list[Above]:
    """§3.4: ArcFace “obtains the best performance before and after the distractors refinement”, and without the noise “the
    identification performance significantly improves”."""
    best = [("ArcFace", "CosFace"), (f"ArcFace, {CLEANED}", f"CosFace, {CLEANED}")]
    found = [_above(results, *pair, measure) for pair in best for measure in MEASURES]
    return [*found, *(_above(results, f"{name}, {CLEANED}", name, RANK) for name in ("Softmax", "CosFace", "ArcFace"))]


def explored(results: Results) -> list[Above]:
    """What is printed and not said: TAR and the noise, CosFace and Softmax, triplets, the smaller margin."""
    pairs = [("CosFace", "Softmax"), (f"Softmax, {table11.TUNED}", "Softmax"), ("ArcFace", SMALLER)]
    pairs = [(f"{one}, {CLEANED}", f"{other}, {CLEANED}") for one, other in pairs]
    found = [_above(results, *pair, measure) for pair in pairs for measure in MEASURES]
    return [*(_above(results, f"{name}, {CLEANED}", name, TAR) for name in ("Softmax", "CosFace", "ArcFace")), *found]


def without_overlap(chosen: SimpleNamespace) -> dict[str, Row]:
    """Table 10's rows of one network: Table 9's runs, since nobody whom our networks have learned is looked for.

    Beside them the same losses by networks that have learned people who are looked for, which are Table 9's in the paper.
    """
    theirs = rows(chosen)
    found = {name: replace(theirs[name], printed=printed) for name, printed in WITHOUT_OVERLAP.items()}
    if chosen.profile != "paper":
        known = {name: replace(row.recipe, data=f"{row.recipe.data}/overlap") for name, row in found.items()}
        found |= {f"{name}, {OVERLAP}": Row(recipe) for name, recipe in known.items()}
    return found


def claims_without_overlap(results: Results) -> list[Above]:
    """§3.4 on Table 10: “ArcFace still outperforms CosineFace”; TAR without noise is printed the other way round."""
    pairs = (("ArcFace", "CosFace"), (f"ArcFace, {CLEANED}", f"CosFace, {CLEANED}"))
    found = [_above(results, *pair, measure) for pair in pairs for measure in MEASURES]
    return found + _of_overlap(results, WITHOUT_OVERLAP)


def _of_overlap(results: Results, names: Iterable[str], measures: Iterable[str] = (RANK,)) -> list[Above]:
    """That people who are looked for are found more often by a network that has learned some of them.

    As printed that is Table 9 beside Table 10. “For Softmax, the identification rate drops obviously”.
    """
    found = []
    for name in names:
        for measure in measures:
            if f"{name}, {OVERLAP}" in results.rows:
                claim = _above(results, f"{name}, {OVERLAP}", name, measure)
                found.append(replace(claim, printed=_printed_overlap(results, name, measure)))
    return found


def _printed_overlap(results: Results, name: str, measure: str) -> float | None:
    """By which share the errors of Table 9 are fewer than those of Table 10, on faces alone."""
    if not _on_faces(results):
        return None
    tables = [published.table("arcface", number) for number in (9, 10)]
    own = [table[(table.metric == MEASURES[measure]) & (table.benchmark == "MegaFace")] for table in tables]
    found = [published.value(own[0], {"method": PRINTED[name]}), published.value(own[1], WITHOUT_OVERLAP[name])]
    return published.share(*[[value] for value in found if value is not None])


def explored_overlap(results: Results) -> list[Above]:
    """TAR by overlap, and whether Softmax gains more by it than the losses with a margin."""
    found = _of_overlap(results, WITHOUT_OVERLAP, (TAR,))
    for name in ("CosFace", "ArcFace"):
        rows = (f"Softmax, {OVERLAP}", name), ("Softmax", f"{name}, {OVERLAP}")
        if set(rows[0] + rows[1]) <= set(results.rows):
            text = f"half of what overlap adds to Softmax beyond what it adds to {name}, {TITLES[RANK]}"
            found.append(Above(*rows, (f"{search_of(results)} {RANK}",), text))
    return found


def tabulate(results: Results) -> pd.DataFrame:
    """Printed beside measured in the four columns of the table, in percent."""
    table, search, lines = _table(results), search_of(results), []
    on_faces = _on_faces(results)
    for name, group in results.runs.items():
        line: dict[str, str] = {"method": name}
        for mark in ("", "(R)"):
            for measure, metric in MEASURES.items():
                own = table[(table.benchmark == f"MegaFace{mark}") & (table.metric == metric)]
                printed = published.value(own, results.rows[name].printed) if on_faces else None
                title = f"{TITLES[measure]} {mark}".strip()
                if on_faces:
                    line[f"{title}, printed, %"] = "–" if printed is None else f"{printed:.2f}"
                line[f"{title}, measured, %"] = comparison.mean(f"{search}{mark} {measure}", group)
        lines.append(line)
    return pd.DataFrame(lines)


def curves(results: Results, kind: str, mark: str = "") -> dict[str, tuple[Floats, Floats]]:
    """CMC or ROC of every row, with noise or ("(R)") without: ranks or FARs (K,), and the shares of its runs (S, K)."""
    part = f"{search_of(results)}{mark} {CURVES[kind][0]}"
    found = {name: np.array([run.arrays[part] for run in group], dtype=np.float64) for name, group in results.runs.items()}
    return {name: (both[0, 0], both[:, 1]) for name, both in found.items()}


def missed(run: Run, part: str, place: int) -> float:
    """What a curve lacks of 1 at one of its points, at least half a thousandth of a percent, so that it has a logarithm."""
    return max(1 - float(run.arrays[part][1, place]), 5e-6)


def everywhere(results: Results) -> list[Above]:
    """“ArcFace always outperforms CosineFace under both”: at the ends and in the middle of each of the four curves."""
    found = []
    for kind, (part, x) in CURVES.items():
        for mark in ("", "(R)"):
            name = f"{search_of(results)}{mark} {part}"
            places = results.runs["ArcFace"][0].arrays[name][0]
            for place in sorted({0, len(places) // 2, len(places) - 1}):
                where = f"{x} {places[place]:.0f}" if kind == "CMC" else f"{x} {places[place]:.0e}"
                value = lambda run, name=name, place=place: missed(run, name, place)  # noqa: E731
                text = f"{kind}{' without noise' if mark else ''}, {where}: ArcFace over CosFace"
                found.append(Above("ArcFace", "CosFace", (name,), text, value=value))
    return found


def order(results: Results) -> pd.DataFrame:
    """At how many of a curve's points each row is above CosFace, in the mean of its runs."""
    lines = []
    for kind in CURVES:
        for mark in ("", "(R)"):
            drawn = {name: shares.mean(axis=0) for name, (_, shares) in curves(results, kind, mark).items()}
            base = drawn["CosFace"]
            above = {name: f"{np.sum(shares > base)} of {len(base)}" for name, shares in drawn.items() if name != "CosFace"}
            lines.append({"curve": f"{kind}{' without noise' if mark else ''}"} | above)
    return pd.DataFrame(lines)


def _item(name: str, notebook: str) -> Item:
    item = table11.TABLE11
    return Item(
        "ArcFace",
        name,
        notebook=notebook,
        parameters=item.parameters,
        rows=rows,
        seeds=SEEDS,
        needs=(SEARCH,),
        reads=(SEARCH,),
        beds={bed: Bed(there.seeds, there.settings) for bed, there in item.beds.items()},
    )


TABLE9 = replace(_item("Table 9", "arcface/table9"), claims=claims, explored=explored, compared=compared, tabulate=tabulate)
TABLE10 = replace(
    _item("Table 10", "arcface/table10"),
    rows=without_overlap,
    claims=claims_without_overlap,
    compared=compared,
    explored=explored_overlap,
    tabulate=tabulate,
)
FIGURE8 = replace(_item("Figure 8", "arcface/figure8"), claims=everywhere, tabulate=order)
