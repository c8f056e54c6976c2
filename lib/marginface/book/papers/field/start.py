"""Which loss to start with: what errs less than ArcFace, and what more, by what one trains on."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from marginface.book import effects
from marginface.book.effects import Above, Effect
from marginface.book.items import Results
from marginface.book.obtain import Runs
from marginface.book.papers.field.bench import alone
from marginface.book.papers.field.methods import BASE, METHODS
from marginface.book.papers.field.spoiled import SPOILED

PLAIN = "Softmax"
SOUND = "sound"  # the training set of the bench


@dataclass(frozen=True)
class Place:
    """What the methods were trained on: of each its row, the runs of these, and the tests."""

    rows: Mapping[str, str]
    runs: Runs
    tests: tuple[str, ...]

    def over(self, name: str, base: str = BASE) -> Above:
        """That a method errs less than another."""
        both = self.rows[name], self.rows[base]
        return Above(*both, self.tests, f"{name} over {base}", among=alone(both, self.runs))

    def judged(self) -> dict[str, Effect]:
        """Every method over ArcFace, in the order of what they change: one family."""
        names = [name for name in self.rows if name != BASE]
        found = dict(zip(names, effects.judge([self.over(name) for name in names], self.runs), strict=True))
        return dict(sorted(found.items(), key=lambda each: each[1].share))


def places(bench: Results, spoiled: Results) -> dict[str, Place]:
    """The sound training set, and each way of spoiling it, with the settings that were chosen on the sound one."""
    found = {SOUND: Place({name: name for name in bench.runs}, bench.runs, tuple(bench.tests))}
    for title in SPOILED.values():
        rows = {name: row for name in METHODS if (row := f"{name}, {title}") in spoiled.runs}
        found[title] = Place(rows, {row: spoiled.runs[row] for row in rows.values()}, tuple(spoiled.tests))
    return found


def table(found: Mapping[str, Place]) -> pd.DataFrame:
    """A line for each place: what ArcFace is worth there over Softmax, which methods err less than it, and which more; the
    number of those that cannot be told from it."""
    lines = []
    for title, place in found.items():
        (worth,) = effects.explore([place.over(BASE, PLAIN)], place.runs)
        against = place.judged()
        less, more = ({name: each for name, each in against.items() if each.word == word} for word in ("holds", "opposite"))
        lines.append((title, worth.difference, _named(less), _named(more), len(against) - len(less) - len(more)))
    return pd.DataFrame(
        lines,
        columns=["trained on", f"{BASE} over {PLAIN}", f"err less than {BASE}", f"err more than {BASE}", "not told from it"],
    )


def sentences(found: Mapping[str, Place]) -> str:
    """Which methods err less than ArcFace in some place and more in none, and which the reverse."""
    words = {title: {name: each.word for name, each in place.judged().items()} for title, place in found.items()}
    told = []
    for word, other, what in (("holds", "opposite", "less"), ("opposite", "holds", "more")):
        counts = {name: sum(each.get(name) == word for each in words.values()) for name in METHODS}
        never = {name for name in METHODS if all(each.get(name) != other for each in words.values())}
        names = sorted((name for name in METHODS if counts[name] and name in never), key=lambda name: -counts[name])
        listed = ", ".join(f"{name} ({counts[name]})" for name in names) or "none"
        told.append(f"On some of {len(words)} training sets, and on no other the reverse, err {what} than {BASE}: {listed}.")
    return " ".join(told)


def _named(found: Mapping[str, Effect]) -> str:
    """Methods with their effects, the largest first."""
    ordered = sorted(found.items(), key=lambda each: -abs(each[1].found.mean))
    return "; ".join(f"{name} {each.difference}" for name, each in ordered) or "–"
