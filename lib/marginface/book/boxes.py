"""The box atop each page: what is claimed, what came of it, what that stands on, what was left out, and how to run it again.

python -m marginface.book.boxes FOLDER writes boxes.json and what the boxes offer to take along.
"""

import argparse
import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

import pandas as pd

from marginface.book import descriptions, published, telling
from marginface.book.items import Item, Results, beside
from marginface.book.papers import ITEMS
from marginface.book.verdicts import Verdict, claims_table
from marginface.data.progress import spoken

MANY = 3  # values of one kind that are named
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")


def boxes(folder: Path) -> dict[str, str]:
    """The box of every page that shows an item, as HTML, by the page's name. What it offers is written below the folder."""
    pages: dict[str, list[Item]] = {}
    for item in ITEMS:
        pages.setdefault(item.notebook, []).append(item)
    return {f"notebooks/{page}": "".join(box(item, folder) for item in items) for page, items in pages.items()}


def box(item: Item, folder: Path) -> str:
    """One item's box."""
    results = item.recorded() if item.rows is not None else item.ask()
    verdict = item.verdict() if results is None else results.verdict()
    lines = {
        "it stands on": _stands_on(results, verdict),
        "not tested": untested(item, results) if results is not None else "",
        "run it again": again(item, results),
        "take along": _taken(item, results, folder) if results is not None else "",
    }
    terms = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in lines.items() if text)
    label = f"In short: {item.paper}, {item.name}"
    return f'<aside class="box" aria-label="{escape(label)}">{_claim(item)}{_word(verdict)}<dl>{terms}</dl></aside>'


def _claim(item: Item) -> str:
    """The sentence of the paper that the item is about; what is no numbered table or figure has none."""
    numbered = published.items()
    (*_, line) = ({}, *numbered[(numbered.paper == item.paper) & (numbered["item"] == item.name)].to_dict("records"))
    if not line.get("claim"):
        return ""
    return f"<blockquote>“{escape(line['claim'])}” <cite>{escape(item.paper)}, {escape(line['where'])}</cite></blockquote>"


def _word(verdict: Verdict) -> str:
    first, *more = verdict.evidence or ("",)
    rest = f" <small>and {len(more)} more, at the end of the page</small>" if more else ""
    kind = verdict.word.replace(" ", "-")
    word = f'<a href="{{root}}numbers.html#what-the-verdicts-mean">{escape(verdict.word)}</a>'
    return f'<p class="word {kind}"><strong>{word}</strong> {escape(first)}{rest}</p>'


def _stands_on(results: Results | None, verdict: Verdict) -> str:
    if results is None or not results.runs:
        return escape(verdict.leg)
    others = [there for there in results.beds.values() if there.runs]
    return "<br>".join(escape(each.label()) for each in (results, *others))


def untested(item: Item, results: Results) -> str:
    """What the paper has and the page has not: its data, network and length, and tests that nobody can be measured on here."""
    if not results.runs:
        return ""
    paper, own = item.ask("paper"), {row.recipe for row in results.rows.values()}
    there = all(row.recipe in own for row in paper.rows.values())
    missing = ", ".join(name for name in _benchmarks(item) if name not in results.tests)
    return escape("; ".join(filter(None, ["" if there else f"the paper's own scale: {_scale(paper)}", missing])))


def _benchmarks(item: Item) -> list[str]:
    """Those of the printed table; none where there is no table."""
    kind, _, number = item.name.partition(" ")
    if kind != "Table" or not (number.isdigit() or number in ROMAN):
        return []
    printed = published.table(item.paper.lower(), int(number) if number.isdigit() else 1 + ROMAN.index(number))
    return [str(name) for name in dict.fromkeys(printed.benchmark)] if "benchmark" in printed else []


def _scale(asked: Results) -> str:
    """Data, networks and lengths of rows in a line."""
    recipes = [row.recipe for row in asked.rows.values()]
    kinds = ([recipe.data for recipe in recipes], [recipe.backbone for recipe in recipes])
    lengths = [descriptions.words(recipe).get("length", "") for recipe in recipes]
    return ", ".join(_few(values) for values in (*kinds, lengths) if any(values))


def _few(values: Iterable[str]) -> str:
    names = list(dict.fromkeys(filter(None, values)))
    return " / ".join(names[:MANY]) + (f" and {len(names) - MANY} more" if len(names) > MANY else "")


def again(item: Item, results: Results | None) -> str:
    """The command, and what its recorded runs took."""
    command = f"<code>papermill notebooks/{item.notebook}.ipynb out.ipynb</code>"
    if results is None or not results.runs:
        return command
    seeds = {run.recipe.seed for group in results.runs.values() for run in group}
    command += f", with another seed <code>-p seeds '[{max(seeds) + 1}]'</code>"
    seconds = [run.provenance["duration_s"] for group in results.runs.values() for run in group]
    trained = [took for took in seconds if took > 0]
    whole = (
        f"{len(trained)} trainings of {spoken(sum(trained) / len(trained))}, {spoken(sum(trained))} in all" if trained else ""
    )
    return f"{command}; from nothing, {whole} on that device" if whole else command


def _taken(item: Item, results: Results, folder: Path) -> str:
    """Links to files that are written here: the table and the differences as CSV, their drawing as SVG; and the notebook."""
    links = {f"{item.notebook}.ipynb": f"_sources/notebooks/{item.notebook}.ipynb"}
    name = f"{item.notebook}-{item.name}".replace("/", "-").replace(" ", "-").replace(",", "").lower()
    if results.runs:
        frame = (item.tabulate or beside)(results)
        frame.columns = [" ".join(filter(None, map(str, c))) if isinstance(c, tuple) else str(c) for c in frame.columns]
        links["table (CSV)"] = _write(frame, folder, f"{name}.csv")
        if item.claims is not None and (judged := results.judged()):
            links["differences (CSV)"] = _write(telling.table(judged), folder, f"{name}-differences.csv")
            links["differences (SVG)"] = _draw(results, folder, f"{name}-differences.svg")
    elif item.statements is not None:
        links["statements (CSV)"] = _write(claims_table(item.statements(results.settings)), folder, f"{name}.csv")
    return ", ".join(f'<a href="{{root}}{path}" download>{escape(text)}</a>' for text, path in links.items())


def _write(frame: pd.DataFrame, folder: Path, name: str) -> str:
    frame.to_csv(folder / name, index=False)
    return f"_static/taken/{name}"


def _draw(results: Results, folder: Path, name: str) -> str:
    import matplotlib.pyplot as plt

    from marginface.book.plots.forest import forest

    with plt.style.context("marginface.book.plots.book"):
        figure = forest(results.effects().effects)
        figure.savefig(folder / name)
        plt.close(figure)
    return f"_static/taken/{name}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m marginface.book.boxes", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "boxes.json").write_text(json.dumps(boxes(folder), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
