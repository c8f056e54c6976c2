"""Differences between trainings, estimated and judged in one way on every page.

An effect is the share by which errors change: exp(mean over seeds and tests of ln(error of one / error of the other)) - 1. The
same is computed from printed numbers. How sure one can be of it says `evaluation.crossed`; the claims of a page are one family.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from marginface.book.errors import Floats, bed_of, deciding, error, influence, is_angle
from marginface.book.verdicts import Verdict
from marginface.evaluation.crossed import ROUNDING, Contrast, contrast, pooled, seeds_needed, step_down
from marginface.training import Run

LEVEL = 0.05  # of a family
MANY = 0.5  # share of errors beyond which a printed share of few errors says nothing of them
NARROW = 0.003  # an interval up to this wide has a digit more
TOLD = ("holds", "opposite")  # the words of a claim without a printed size whose rows are told apart
EXPLORED = "explored"  # the word of what no claim named beforehand
NOTHING = "there are no two rows here that a claim compares"


@dataclass(frozen=True)
class Above:
    """The claim that one row errs less than another, or the mean of some less than that of others; for an angle, that it is
    smaller. Several rows are, for example, those of one loss on both halves of the people.

    measures: tests, or measures, over which the logarithms of errors are averaged; see `errors.deciding`.
    printed: the share by which the paper's numbers change the errors, such as -0.15; None where it prints none.
    larger: the claim is that the angle is larger.
    value: what is compared, in place of a measure of the record.
    bed: where the rows are trained, if not on what the page is about.
    bases: where the claim is of such rows as these, and not of these alone, how many there are: as many of `row`, each over the
        same place of `over`, and then perhaps all of them on other people. Others might have been drawn, too, and the interval
        is that of a random-effects mean. 0 is a claim of these rows.
    among: the rows whose spread is pooled, where they go together more than others do, as those that share most of a training
        or are one loss with more or less of a term; () is every row of the same data.
    """

    row: str | tuple[str, ...]
    over: str | tuple[str, ...]
    measures: tuple[str, ...]
    text: str
    printed: float | None = None
    larger: bool = False
    value: Callable[[Run], float] | None = None
    bed: str | None = None
    bases: int = 0
    among: tuple[str, ...] = ()

    @property
    def size(self) -> float | None:
        """The logarithm of the printed size, where it points as the claim does."""
        if self.printed is None or self.printed == 0 or (self.printed > 0) != self.larger:
            return None
        return float(np.log1p(self.printed))


@dataclass(frozen=True)
class Within:
    """The claim that two rows are equivalent: that their errors differ by no more than a share, which was fixed beforehand."""

    row: str | tuple[str, ...]
    over: str | tuple[str, ...]
    measures: tuple[str, ...]
    margin: float
    text: str
    printed: float | None = None
    value: Callable[[Run], float] | None = None
    bed: str | None = None
    among: tuple[str, ...] = ()


@dataclass(frozen=True)
class Effect:
    """A claim, the test bed it was tried on, what was found, a word of `verdicts.WORDS`, and the level of Holm's first step."""

    claim: Above | Within
    bed: str
    found: Contrast
    word: str
    level: float = LEVEL
    measures: tuple[str, ...] = ()  # what decided it

    @property
    def share(self) -> float:
        """By which share the errors change: -0.1 removes a tenth of them."""
        return float(np.expm1(self.found.mean))

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %; for an equivalence of 90 %, as two one-sided tests of 5 % have it. By itself, whatever else is claimed."""
        low, high = self.found.interval(0.9 if isinstance(self.claim, Within) else 0.95)
        return float(np.expm1(low)), float(np.expm1(high))

    @property
    def shown(self) -> float:
        """The share of errors whose removal is shown with a power of 80 %; for an equivalence, the margin that is."""
        if isinstance(self.claim, Within):
            return float(np.expm1(self.found.margin(self.level)))
        return -float(np.expm1(-self.found.detectable(self.level)))

    @property
    def needed(self) -> int | None:
        """How many seeds a row would decide with a power of 80 %, if the effect is as printed, or, where none is printed or
        that size is excluded, as measured; None where seeds alone would not, as of a mean over losses that differ."""
        if isinstance(self.claim, Above) and self.claim.bases:
            return None
        if isinstance(self.claim, Within):
            return seeds_needed(self.found, float(np.log1p(self.claim.margin)), self.level, Contrast.margin)
        size = self.claim.size
        if size is None or self.found.differs(size) < self.level:
            size = self.found.mean
        return seeds_needed(self.found, abs(size), self.level)

    @property
    def difference(self) -> str:
        """What was measured, such as "-3.6 % [-9.5, +2.2]"."""
        if self.found.runs == 1:
            return f"{100 * self.share:+.1f} % [one run]"
        low, high = self.interval
        if not self.found.error > ROUNDING:
            return f"{100 * self.share:+.1f} % [in all runs]"
        digits = 1 if high - low > NARROW else 2
        return f"{100 * self.share:+.{digits}f} % [{100 * low:+.{digits}f}, {100 * high:+.{digits}f}]"

    @property
    def printed(self) -> str:
        return "" if self.claim.printed is None else f"{100 * self.claim.printed:+.1f} %"

    @property
    def told(self) -> str:
        """The effect in a line."""
        beside = f", printed {self.printed}" if self.printed else ""
        return f"{self.claim.text}: {self.difference}{beside}"

    @property
    def alone(self) -> bool:
        """Whether it would be decided by itself, and is not as one of the page's claims."""
        return self.word == "undecided" and min(_hypotheses(self.claim, self.found)) < LEVEL

    @property
    def judged(self) -> str:
        """The word, and what it wants to be understood."""
        if self.alone:
            return f"{self.word} (it would be decided if it were the only claim)"
        return "opposite (not equivalent)" if isinstance(self.claim, Within) and self.word == "opposite" else self.word


def judge(claims: Sequence[Above | Within], runs: Mapping[str, list[Run]], level: float = LEVEL) -> list[Effect]:
    """The claims of a page, which are one family: what was found, and the word for it.

    Raises: ValueError for a claim about a row or a measure that the runs do not have.
    """
    for claim in claims:
        _check(claim, runs)
    claims = [_comparable(claim, runs) for claim in claims]
    found = [_contrast(claim, runs) for claim in claims]
    rejected = step_down([_hypotheses(claim, each) for claim, each in zip(claims, found, strict=True)], level)
    words = [_word(claim, each, *no) for claim, each, no in zip(claims, found, rejected, strict=True)]
    each_level = level / max(len(claims), 1)
    beds = [claim.bed or bed_of(runs[names(claim.row)[0]][0].recipe.data) for claim in claims]
    measures = [() if claim.value is not None else _deciding(claim, runs) for claim in claims]
    parts = zip(claims, beds, found, words, measures, strict=True)
    return [Effect(claim, bed, each, word, each_level, decided) for claim, bed, each, word, decided in parts]


def explore(claims: Sequence[Above | Within], runs: Mapping[str, list[Run]]) -> list[Effect]:
    """Differences that nobody named beforehand: shown, each by itself, and not judged."""
    return [replace(each, word=EXPLORED, level=LEVEL) for each in judge(claims, runs)]


def names(rows: str | tuple[str, ...]) -> tuple[str, ...]:
    """The rows that a claim is about."""
    return (rows,) if isinstance(rows, str) else rows


def _check(claim: Above | Within, runs: Mapping[str, list[Run]]) -> None:
    for name in (*names(claim.row), *names(claim.over)):
        if name not in runs:
            raise ValueError(f"{claim.text!r} is about {name!r}, which is not among {', '.join(runs)}")


def _contrast(claim: Above | Within, runs: Mapping[str, list[Run]]) -> Contrast:
    ours, others = names(claim.row), names(claim.over)
    rows, measures = _spread_of(claim, runs), _deciding(claim, runs)
    seeds = sorted({_drawn(run) for row in rows for run in runs[row]})
    logs = np.full((len(rows), len(seeds)), np.nan)
    influences: dict[str, Floats] = {}
    for r, row in enumerate(rows):
        for run in runs[row]:
            place = r, seeds.index(_drawn(run))
            if claim.value is not None:
                logs[place] = np.log(claim.value(run))
                continue
            logs[place] = np.mean([np.log(error(run, measure)) for measure in measures])
            if row in (*ours, *others):
                for measure in measures:
                    _add(influences, run, measure, logs.shape, place, len(measures))
    arrays = list(influences.values())
    if isinstance(claim, Within) or not claim.bases:
        return contrast(logs, _weights(rows, ours, others), arrays)
    with_it, without = ([rows.index(name) for name in each] for each in (ours, others))
    apart = [array[with_it] - array[without] for array in arrays]
    return pooled(logs[with_it] - logs[without], np.arange(len(ours)) % claim.bases, apart)


def _comparable(claim: Above | Within, runs: Mapping[str, list[Run]]) -> Above | Within:
    """A claim without its printed size where our errors are many: the share of the few that the paper has is another thing."""
    measures = _deciding(claim, runs) if isinstance(claim, Above) and claim.value is None and claim.printed is not None else ()
    every = [run for name in (*names(claim.row), *names(claim.over)) for run in runs[name]]
    logs = [np.log(error(run, measure)) for measure in measures if not is_angle(measure) for run in every]
    return replace(claim, printed=None) if logs and np.mean(logs) > np.log(MANY) else claim


def _spread_of(claim: Above | Within, runs: Mapping[str, list[Run]]) -> list[str]:
    """The rows whose spread is pooled."""
    return [row for row in _beside(claim, runs) if row in claim.among or not claim.among]


def _beside(claim: Above | Within, runs: Mapping[str, list[Run]]) -> list[str]:
    """The rows of the claim's data."""
    data = {run.recipe.data for name in (*names(claim.row), *names(claim.over)) for run in runs[name]}
    return [name for name, group in runs.items() if group[0].recipe.data in data]


def _deciding(claim: Above | Within, runs: Mapping[str, list[Run]]) -> tuple[str, ...]:
    every = [run for row in _beside(claim, runs) for run in runs[row]]
    return tuple(deciding(measure, every) for measure in claim.measures)


def _weights(rows: Sequence[str], ours: Sequence[str], others: Sequence[str]) -> Floats:
    """(R,) of the mean of some rows less that of others."""
    return np.array([(row in ours) / len(ours) - (row in others) / len(others) for row in rows], dtype=np.float64)


def _drawn(run: Run) -> tuple[str, int]:
    """What runs share that are drawn together: a seed, and the data, since on other people it draws something else."""
    return run.recipe.data, run.recipe.seed


def _add(
    influences: dict[str, Floats], run: Run, measure: str, shape: tuple[int, ...], place: tuple[int, int], tests: int
) -> None:
    """What a run's people add on one of some tests; the same people's on another add to it."""
    if (known := influence(run, measure)) is not None:
        people, moved = known
        key = f"{people}, {len(moved)}"  # where the lists of two tests do not go by the same people, these count apart
        if key not in influences:
            influences[key] = np.zeros((*shape, len(moved)))
        influences[key][place] += moved / tests


def _hypotheses(claim: Above | Within, found: Contrast) -> tuple[float, float]:
    """The p-values of what can be shown to be wrong, of which one at most is true: nil and the printed size; or, where rows are
    said to be equivalent, that they are not and that they are."""
    if isinstance(claim, Within):
        margin = float(np.log1p(claim.margin))
        return found.within(margin), found.outside(margin)
    return found.differs(0), np.nan if claim.size is None else found.differs(claim.size)


def _word(claim: Above | Within, found: Contrast, first: bool, second: bool) -> str:
    """From which of the two hypotheses were rejected."""
    if isinstance(claim, Within):
        return "holds" if first else "opposite" if second else "undecided"
    if not first:  # what would be told from none if it were the only claim is not called absent
        return "absent here" if second and found.differs(0) > LEVEL else "undecided"
    if (found.mean > 0) != claim.larger:
        return "opposite"
    smaller = second and claim.size is not None and abs(found.mean) < abs(claim.size)
    return "smaller than printed" if smaller else "holds"


def verdict(effects: Sequence[Effect]) -> Verdict:
    """What the claims of a page come to: their common word; "smaller than printed" where all hold and some are; "holds in part"
    where some hold; "opposite" where none holds and one is; else "undecided". The evidence begins with what gives the word."""
    if not effects:
        return Verdict("not judged", (NOTHING,), "recorded runs")
    words = {each.word for each in effects}
    held = words & {"holds", "smaller than printed"}
    if len(words) == 1:
        word = words.pop()
    elif held:
        word = "smaller than printed" if words == held else "holds in part"
    else:
        word = "opposite" if "opposite" in words else "undecided"
    several = len({each.bed for each in effects}) > 1
    giving = held if word == "holds in part" else {word}
    ordered = sorted(effects, key=lambda each: each.word not in giving)
    lines = (f"{f'on {each.bed}: ' if several else ''}{each.told}: {each.judged}" for each in ordered)
    return Verdict(word, tuple(lines), "recorded runs")


def separation(groups: Sequence[Sequence[Run]], measure: str) -> float:
    """F of the rows' means over the spread of seeds, in logarithms of errors: how well a measure tells recipes apart.

    Arguments: groups: the runs of each row, as many of each.
    """
    logs = np.array([[np.log(error(run, measure)) for run in group] for group in groups])
    return float(logs.shape[1] * logs.mean(axis=1).var(ddof=1) / logs.var(axis=1, ddof=1).mean())
