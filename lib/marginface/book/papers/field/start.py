"""Which loss to start with: what errs less than ArcFace, and what more, by what one trains on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from marginface.book import effects
from marginface.book.effects import Above, Effect
from marginface.book.items import Results
from marginface.book.obtain import Runs
from marginface.book.papers.field.bench import BASE, among, halves
from marginface.book.papers.field.methods import METHODS
from marginface.book.papers.field.spoiled import SPOILED

PLAIN = "Softmax"


@dataclass(frozen=True)
class Place:
    """What the methods were trained on: of each the rows, the runs of these, and the tests."""

    rows: Mapping[str, tuple[str, ...]]
    runs: Runs
    tests: tuple[str, ...]

    def over(self, name: str, base: str = BASE) -> Above:
        ours, theirs = self.rows[name], self.rows[base]
        return Above(ours, theirs, self.tests, f"{name} over {base}", among=among((*ours, *theirs), self.runs))


def places(bench: Results, spoiled: Results | None = None) -> dict[str, Place]:
    """What is recorded: each test bed of the bench, and each way of spoiling a training set."""
    beds = {bed: there for bed, there in bench.beds.items() if there.runs and not bench.item.beds[bed].joined}
    found = {bed: Place(*halves(there), tuple(there.tests)) for bed, there in {"faces": bench, **beds}.items()}
    for title in SPOILED.values() if spoiled is not None else ():
        assert spoiled is not None
        rows = {name: (f"{name}, {title}",) for name in METHODS if f"{name}, {title}" in spoiled.runs}
        found[f"glyphs, {title}"] = Place(rows, spoiled.runs, tuple(spoiled.tests))
    return found


def judged(place: Place) -> list[Effect]:
    """Each method over ArcFace: one family."""
    return effects.judge([place.over(name) for name in place.rows if name != BASE], place.runs)


def table(found: Mapping[str, Place]) -> pd.DataFrame:
    """A line for each place: what ArcFace is worth there over Softmax, which methods err less than it, and which more; the
    number of those that cannot be told from it."""
    lines = []
    for title, place in found.items():
        (worth,) = effects.explore([place.over(BASE, PLAIN)], place.runs)
        against = judged(place)
        less, more = ([each for each in against if each.word == word] for word in ("holds", "opposite"))
        lines.append((title, worth.difference, _named(less), _named(more), len(against) - len(less) - len(more)))
    return pd.DataFrame(
        lines,
        columns=["trained on", f"{BASE} over {PLAIN}", f"err less than {BASE}", f"err more than {BASE}", "not told from it"],
    )


def _named(found: Sequence[Effect]) -> str:
    """Methods with their effects, the largest first."""
    ordered = sorted(found, key=lambda each: -abs(each.found.mean))
    return "; ".join(f"{each.claim.text.removesuffix(f' over {BASE}')} {each.difference}" for each in ordered) or "–"
