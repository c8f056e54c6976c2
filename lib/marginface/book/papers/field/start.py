"""Which loss to start with: what errs less than ArcFace, and what more, by what one trains on."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from marginface.book import effects
from marginface.book.effects import Above, Effect
from marginface.book.items import Results
from marginface.book.obtain import Runs
from marginface.book.papers.field.bench import halves, pooled
from marginface.book.papers.field.methods import BASE, METHODS, SPOILED, THERE
from marginface.book.papers.glyphs import TEN_THOUSAND

PLAIN = "Softmax"
FACES, GLYPHS = "faces", "glyphs"  # training sets of the bench
TUNED = f"{BASE}, {THERE}"


@dataclass(frozen=True)
class Place:
    """What the methods were trained on: of each its rows, the runs of these, and the tests."""

    rows: Mapping[str, tuple[str, ...]]
    runs: Runs
    tests: tuple[str, ...]

    def over(self, name: str, base: str = BASE) -> Above:
        """That a method errs less than another."""
        ours, others = self.rows[name], self.rows[base]
        among = pooled((*ours, *others), self.runs, self.tests)
        return Above(ours, others, self.tests, f"{name} over {base}", among=among)


def places(bench: Results, spoiled: Results) -> dict[str, Place]:
    """The bench's faces and glyphs, as far as there are runs, and each way of spoiling the glyphs: the methods at the settings
    that were chosen on the sound ones and, where there are such rows, at those that were chosen there."""
    sound = {FACES: bench} | {title: bench.on(title) for title in (GLYPHS, TEN_THOUSAND)}
    found = {title: Place(*halves(there), tuple(there.tests)) for title, there in sound.items() if there.runs}
    for how in SPOILED.values():
        names = {f"{name}{suffix}": f"{name}, {how}{suffix}" for name in METHODS for suffix in ("", f", {THERE}")}
        rows = {name: (row,) for name, row in names.items() if row in spoiled.runs}
        runs = {row: spoiled.runs[row] for own in rows.values() for row in own}
        found[f"{GLYPHS}, {how}"] = Place(rows, runs, tuple(spoiled.tests))
    return found


@dataclass(frozen=True)
class Compared:
    """What was found of each place, in the order of what it changes: over ArcFace, and over ArcFace as chosen there."""

    places: Mapping[str, Place]
    over: Mapping[str, Mapping[str, Effect]]
    over_tuned: Mapping[str, Mapping[str, Effect]]


def compare(found: Mapping[str, Place]) -> Compared:
    """All methods over ArcFace in all places, and over ArcFace as chosen there where that is another: one family."""
    wanted = {
        (base, title): [name for name in place.rows if name not in (BASE, base)]
        for base in (BASE, TUNED)
        for title, place in found.items()
        if base in place.rows
    }
    claims = [found[title].over(name, base) for (base, title), names in wanted.items() for name in names]
    judged = iter(effects.judge(claims, {row: group for place in found.values() for row, group in place.runs.items()}))
    ordered = {key: sorted(((name, next(judged)) for name in names), key=_share) for key, names in wanted.items()}
    own, tuned = ({title: dict(each) for (over, title), each in ordered.items() if over == base} for base in (BASE, TUNED))
    return Compared(found, own, tuned)


def _share(found: tuple[str, Effect]) -> float:
    return found[1].share


def table(found: Compared) -> pd.DataFrame:
    """A line for each place: what ArcFace is worth there over Softmax, which methods err less than it, and which more; the
    number of those that cannot be told from it; and which err less than ArcFace as chosen there."""
    lines = []
    for title, place in found.places.items():
        (worth,) = effects.explore([place.over(BASE, PLAIN)], place.runs)
        against = found.over[title]
        less, more = (_having(against, word) for word in ("holds", "opposite"))
        rest = sum(name in METHODS and name not in less and name not in more for name in against)
        tuned = _named(_having(found.over_tuned[title], "holds")) if title in found.over_tuned else "as before"
        lines.append((title, worth.difference, _named(less), tuned, _named(more), rest))
    return pd.DataFrame(
        lines,
        columns=[
            *("trained on", f"{BASE} over {PLAIN}", f"err less than {BASE}", f"err less than {TUNED}"),
            *(f"err more than {BASE}", "not told from it"),
        ],
    )


def sentences(found: Compared) -> str:
    """Which methods err less than ArcFace in some place and more in none, and which the reverse; where another setting of
    ArcFace's was chosen, at both."""
    told = []
    for word, other, less, more in (("holds", "opposite", "fewer", "more"), ("opposite", "holds", "more", "fewer")):
        counts = {name: sum(name in _at_both(found, title, word) for title in found.over) for name in METHODS}
        reverse = {name for title in found.over for name in _at_both(found, title, other)}
        names = [name for name in METHODS if counts[name] and name not in reverse]
        listed = ", ".join(f"{name} ({counts[name]})" for name in sorted(names, key=lambda name: -counts[name])) or "none"
        sets = f"at least one of the {len(found.over)} training sets, and {more} on none (in brackets: on how many)"
        told.append(f"{less.capitalize()} errors than {BASE}, at both settings where it has two, on {sets}: {listed}.")
    return " ".join(told)


def _at_both(found: Compared, title: str, word: str) -> set[str]:
    """The methods of which something is found over ArcFace and over ArcFace as chosen there."""
    every = [over[title] for over in (found.over, found.over_tuned) if title in over]
    return set.intersection(*({*_having(own, word)} for own in every))


def _having(found: Mapping[str, Effect], word: str) -> dict[str, Effect]:
    return {name: each for name, each in found.items() if each.word == word}


def _named(found: Mapping[str, Effect]) -> str:
    """Methods with their effects, the largest first."""
    ordered = sorted(found.items(), key=lambda each: -abs(each[1].found.mean))
    return "; ".join(f"{name} {each.difference}" for name, each in ordered) or "–"
