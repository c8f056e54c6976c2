"""The first page and the scorecard: every numbered table and figure of the papers with its verdict."""

import json
from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

import pandas as pd

from marginface.book import published
from marginface.book.effects import Effect
from marginface.book.items import Item
from marginface.book.papers import find
from marginface.book.papers.arcface.table7 import TABLE7
from marginface.book.papers.field.bench import BENCH
from marginface.book.papers.iam.table5 import TABLE5
from marginface.book.papers.interface.sign import SIGN
from marginface.book.papers.interface.table1 import TABLE1
from marginface.book.papers.pam.table2 import TABLE2
from marginface.book.records import folder
from marginface.book.telling import in_short
from marginface.book.verdicts import WORDS, Verdict

if TYPE_CHECKING:
    from marginface.book.plots.display import Table

SHOWN = 3  # lines of evidence
FEW = 2  # lines of a table that need no sentence above them
# the words by what they say to a reader in a hurry
KINDS = {
    "holds": ("reproduced", "holds"),
    "in part": ("reproduced in part", "holds in part", "smaller than printed"),
    "undecided": ("absent here", "undecided"),
    "not so": ("contradicted", "opposite"),
    "shown": ("as printed", "cannot be tested here", "not judged"),
    "not yet": ("not yet",),
}
Found = Mapping[tuple[str, str], Verdict]


def verdicts() -> dict[tuple[str, str], Verdict]:
    """The verdict of every numbered table and figure, by paper and name."""
    numbered = published.items()
    keys = list(zip(numbered["paper"], numbered["item"], strict=True))
    return {key: item.verdict() if (item := find(*key)) else Verdict("not yet") for key in keys}


def scorecard(found: Found) -> str:
    """The scorecard as HTML: every item by paper, with its verdict and a link to its page where it has one."""
    rows = []
    for line in published.items().to_dict("records"):
        key = line["paper"], line["item"]
        verdict, title = found[key], _linked(key, found[key], escape(line["item"]))
        word = f"{escape(verdict.word)}<small>{verdict.leg}</small>"
        more = len(verdict.evidence) - SHOWN
        lines = [*verdict.evidence[:SHOWN], *([f"and {more} more on its page"] if more > 0 else [])]
        cells = (escape(line["paper"]), title, escape(line["shows"]), word, "<br>".join(map(escape, lines)))
        kind = verdict.word.replace(" ", "-")  # by which the page colours it
        rows.append(f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f'<th scope="col">{name}</th>' for name in ("paper", "item", "shows", "verdict", "evidence"))
    table = f'<table class="scorecard sortable"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="wide" tabindex="0">{table}</div>'


def _linked(key: tuple[str, str], verdict: Verdict, text: str, root: str = "") -> str:
    """A text as a link to the item's page, which comes with its runs; by itself where there is none yet."""
    item = find(*key)
    return f'<a href="{root}notebooks/{item.notebook}.html">{text}</a>' if item and verdict.word != "not yet" else text


def tally(found: Found) -> str:
    """How many of the items have which verdict, in a line of Markdown."""
    words = [verdict.word for verdict in found.values()]
    counted = ", ".join(f"{words.count(word)} {word}" for word in WORDS if word in words)
    return f"Of {len(words)} tables and figures: {counted}."


def bar(found: Found) -> str:
    """How many verdicts say what, as a bar: a part for each of `KINDS` that occurs, as wide as it is frequent."""
    counts = {kind: sum(verdict.word in words for verdict in found.values()) for kind, words in KINDS.items()}
    parts = "".join(
        f'<span class="{kind.replace(" ", "-")}" style="flex-grow: {count}"><b>{count}</b> {kind}</span>'
        for kind, count in counts.items()
        if count
    )
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f'<div class="bar" role="img" aria-label="{len(found)} tables and figures: {said}">{parts}</div>'


def chips(found: Found) -> str:
    """A row for each paper: its tables and figures as links to their pages, each in the colour of its verdict."""
    rows = []
    for paper, keys in groupby(found, key=lambda key: key[0]):
        links = []
        for key in keys:
            verdict = found[key]
            kind = next(kind for kind, words in KINDS.items() if verdict.word in words).replace(" ", "-")
            text = f'<span class="chip {kind}" title="{escape(key[1])}: {escape(verdict.word)}">{escape(_short(key[1]))}</span>'
            links.append(_linked(key, verdict, text))
        rows.append(f"<div><b>{escape(paper)}</b> {' '.join(links)}</div>")
    return f'<div class="chips">{"".join(rows)}</div>'


def _short(name: str) -> str:
    """T7 of "Table 7", F2 of "Figure 2"."""
    kind, _, number = name.partition(" ")
    return f"{kind[0]}{number}"


def of_paper(paper: str) -> str:
    """A paper's tables and figures, each with its verdict and the first line of what that stands on."""
    numbered = published.items()
    lines = []
    for line in numbered[numbered.paper == paper].to_dict("records"):
        item = find(paper, line["item"])
        verdict = item.verdict() if item is not None else Verdict("not yet")
        name = _linked((paper, line["item"]), verdict, escape(line["item"]), "../")
        first = f": {escape(verdict.evidence[0])}" if verdict.evidence and verdict.word != "not yet" else ""
        lines.append(f"<li>{name}, {escape(line['shows'])}: <em>{escape(verdict.word)}</em>{first}</li>")
    return f"<ul>{''.join(lines)}</ul>"


def answer(item: Item, *about: str) -> "Table":
    """What was found for an item's claims, a line each, or for those whose text has one of some words; above it in short."""
    from marginface.book.plots.display import Table

    results = item.recorded()
    if results is None:
        return Table(pd.DataFrame(), "Nothing is recorded yet.")
    judged = [each for each in results.judged() if not about or any(words in each.claim.text for words in about)]
    lines = [(each.claim.text, each.bed, each.difference, each.printed or "–", each.judged) for each in judged]
    frame = pd.DataFrame(lines, columns=["", "on", "changes the errors by", "printed", "which is"])
    return Table(frame, comes_to=in_short(judged) if len(judged) > FEW else "")


# what the trainings came to: the item, a test bed, a claim there, and a sentence that wants the number
FINDINGS = (
    (
        TABLE7,
        "glyphs",
        "ArcFace over Softmax on glyphs seen",
        "ArcFace against Softmax, each at its best margin and scale, on glyphs, changes the errors by {}",
    ),
    (TABLE7, "glyphs", "ArcFace over CosFace on glyphs seen", "ArcFace against CosFace, in the same way, by {}"),
    (
        BENCH,
        "faces",
        "SphereFace2 over ArcFace",
        "SphereFace2 against ArcFace, each at its best of nine settings, on faces, by {}",
    ),
    (BENCH, "glyphs", "SphereFace2 over ArcFace", "The same on glyphs, by {}"),
    (
        SIGN,
        "faces",
        "InterFace cid&ct: as printed over as released",
        "InterFace's f as printed against f as released, in its variant cid&ct, on faces, by {}",
    ),
    (
        TABLE1,
        "faces",
        "m1 = 0.2, m2 = 0.3 like ArcFace",
        "ArcFace's margin moved to the other classes by 0.3, said to change nothing, on faces, by {}",
    ),
    (TABLE1, "glyphs", "m1 = 0.2, m2 = 0.3 like ArcFace", "The same on glyphs, by {}"),
    (
        TABLE5,
        "faces",
        "IAM with β = 0.05, in the mean over losses",
        "IAM with β = 0.05, added to six losses, on faces, in the mean by {}",
    ),
    (
        TABLE2,
        "faces",
        "PAM v1 over AM-Softmax on pairs",
        "PAM, version 1, added to AM-Softmax as late in the training as its paper does, on faces, by {}",
    ),
)


def found() -> list[tuple[Item, str, Effect]]:
    """Those of `FINDINGS` that are recorded: the item, the sentence with its number, and the effect."""
    lines = []
    for item, bed, claim, sentence in FINDINGS:
        judged = results.judged() if (results := item.recorded()) is not None else []
        same = (each for each in judged if (each.bed, each.claim.text) == (bed, claim))
        lines += [(item, sentence.format(effect.difference), effect) for effect in same]
    return lines


def findings() -> list[str]:
    """What the trainings came to, a sentence each with its number and its page."""
    return [
        f'{escape(sentence)}: <em>{escape(effect.judged)}</em> (<a href="notebooks/{item.notebook}.html">{escape(item.paper)}, '
        f"{escape(item.name)}</a>)."
        for item, sentence, effect in found()
    ]


def scale() -> str:
    """How small our trainings are beside the papers', and how many there are, in two sentences."""
    seconds = [json.loads(path.read_text())["provenance"]["duration_s"] for path in sorted(folder().glob("*.json"))]
    return (
        f"All of it stands on {len(seconds):,} recorded trainings that took {sum(seconds) / 3600:.0f} hours on one thread: "
        "networks of some hundred thousand to a million weights, and about a thousand identities. The papers train networks of "
        "up to a hundred layers on 8 to 85 thousand people, and one network a row."
    )
