"""What the README says was found, from the recorded runs: python -m marginface.book.readme"""

import re
from pathlib import Path

from marginface.book.plots import style
from marginface.book.plots.forest import forest
from marginface.book.scorecard import found, tally, verdicts

ROOT = Path(__file__).parents[3]
README, PICTURE = ROOT / "README.md", ROOT / "book" / "_static" / "found.png"
LINES = re.compile(r"(<!-- found -->\n).*?(<!-- /found -->)", re.DOTALL)  # between these two stands what is made here


def summary() -> str:
    """How many verdicts say what, and the first page's findings, a line of Markdown each."""
    sentences = [f"{sentence}: *{effect.judged}*." for _, sentence, effect in found()]
    return "".join(f"- {line}\n" for line in (tally(verdicts()), *sentences))


def main() -> None:
    """Write both anew."""
    README.write_text(LINES.sub(lambda match: match[1] + summary() + match[2], README.read_text()))
    style()
    forest([effect for _, _, effect in found()]).savefig(PICTURE, dpi=110, facecolor="white")


if __name__ == "__main__":
    main()
