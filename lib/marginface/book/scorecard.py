"""The scorecard: every numbered table and figure of the four papers with its verdict."""

from html import escape

from marginface.book import published
from marginface.book.papers import find
from marginface.book.verdicts import WORDS, Verdict

SHOWN = 3  # lines of evidence


def verdicts() -> dict[tuple[str, str], Verdict]:
    """The verdict of every numbered table and figure, by paper and name."""
    numbered = published.items()
    keys = list(zip(numbered["paper"], numbered["item"], strict=True))
    return {key: item.verdict() if (item := find(*key)) else Verdict("not yet") for key in keys}


def scorecard(found: dict[tuple[str, str], Verdict]) -> str:
    """The scorecard as HTML: every item by paper, with its verdict and a link to its page where it has one."""
    rows = []
    for paper, group in published.items().groupby("paper", sort=False):
        rows.append(f'<tr><th colspan="4">{escape(str(paper))}</th></tr>')
        for line in group.to_dict("records"):
            verdict, item = found[line["paper"], line["item"]], find(line["paper"], line["item"])
            name = escape(line["item"])
            there = item is not None and verdict.word != "not yet"  # a page comes with its runs
            title = f'<a href="notebooks/{item.notebook}.html">{name}</a>' if item and there else name
            word = f"{escape(verdict.word)}<small>{verdict.leg}</small>"
            more = len(verdict.evidence) - SHOWN
            lines = [*verdict.evidence[:SHOWN], *([f"and {more} more on its page"] if more > 0 else [])]
            cells = (title, escape(line["shows"]), word, "<br>".join(map(escape, lines)))
            kind = verdict.word.replace(" ", "-")
            rows.append(f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f'<div class="wide"><table class="scorecard"><tbody>{"".join(rows)}</tbody></table></div>'


def tally(found: dict[tuple[str, str], Verdict]) -> str:
    """How many of the items have which verdict, in a line of Markdown."""
    words = [verdict.word for verdict in found.values()]
    counted = ", ".join(f"{words.count(word)} {word}" for word in WORDS if word in words)
    return f"Of {len(words)} tables and figures: {counted}."
