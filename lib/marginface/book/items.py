"""Items: a numbered table or figure of a paper as a description, which the page, the scorecard, the runs and the tests read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd

from marginface.book import comparison, descriptions, effects, obtain, published
from marginface.book.effects import Above, Effect, Within
from marginface.book.obtain import Bed, Row, Runs
from marginface.book.parameters import COMMON, as_seeds, settings
from marginface.book.records import hours, stale
from marginface.book.rehearsals import prepare
from marginface.book.runs import say
from marginface.book.verdicts import MEANINGLESS, Claim, Verdict, claims_table, of_claims
from marginface.training import Recipe

if TYPE_CHECKING:
    from IPython.display import Markdown

    from marginface.book.plots.display import Table
    from marginface.book.plots.forest import Forest

SMOKE = "This is a smoke run: a few steps on embedded data, to see whether everything works. Its numbers mean nothing."


@dataclass(frozen=True)
class Item:
    """A table or figure. It has `rows` that are trained, or `statements` that are computed.

    `parameters` are what its notebook can be asked for, with their defaults: numbers, lists of numbers, words, or `OneOf` some.
    Of the values so given, as attributes, `rows` makes the rows, and `statements` the claims that a computation decides; the
    profile is among them, and with "paper" the rows are the paper's own. `claims` compare rows, and are one family; what is
    `explored` beside them is shown and not judged. Both are about all runs with a seed, or about those that are `compared`.
    `judge` replaces the verdict that follows from claims or statements, `tabulate` the table that sets printed beside measured.

    `needs` are tests that its runs must have been put to: records from before there were these count as missing. `reads` are
    arrays of its runs that it shows or judges by, as their names begin, beside what decides of all pairs: what no page reads is
    left out when records are packed.

    `beds` are what else its rows are trained on, by name. Their records are shown and judged, with as many seeds as every row
    there has.
    """

    paper: str
    name: str
    notebook: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rows: Callable[[SimpleNamespace], Mapping[str, Row]] | None = None
    seeds: Sequence[int] = (0, 1, 2)
    statements: Callable[[SimpleNamespace], list[Claim]] | None = None
    claims: Callable[["Results"], Sequence[Above | Within]] | None = None
    explored: Callable[["Results"], Sequence[Above | Within]] | None = None
    compared: Callable[["Results"], Runs] | None = None
    judge: Callable[["Results"], Verdict] | None = None
    tabulate: Callable[["Results"], pd.DataFrame] | None = None
    beds: Mapping[str, Bed] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    def obtain(
        self,
        profile: str = "book",
        *,
        seeds: Sequence[int] | str | None = None,
        device: str = "auto",
        root: str | Path | None = None,
        **parameters: Any,
    ) -> "Results":
        """What the item's page shows; see `obtain.obtain` for the profiles.

        Raises: ValueError for a parameter or a value that the item does not have, naming the nearest; DataMissingError where
            "paper" has no data.
        """
        asked = self.ask(profile, **parameters)
        if self.rows is None:
            return asked
        wanted = list(self.seeds) if seeds is None else as_seeds(seeds)
        if profile == "smoke":
            wanted = wanted[:2]
            _warn(SMOKE)
        runs = obtain.obtain(asked.rows, wanted, profile, device=device, root=root)
        if profile == "book" and not self._tested(runs):
            raise ValueError(f"records lack {' and '.join(self.needs)}: make runs ONLY={self.notebook} RETEST=1 (or FORCE=1)")
        return replace(asked, runs=runs, root=root, beds=self._beds(asked, root))

    def ask(self, profile: str = "book", **parameters: Any) -> "Results":
        """The item with these values, its rows, and no runs yet. Raises: ValueError as `obtain` does."""
        chosen = settings(profile, self.parameters, parameters, COMMON if self.rows else ("profile",))
        return Results(self, chosen, self.rows(chosen) if self.rows else {})

    def recorded(self) -> "Results | None":
        """What its page shows with all defaults, from records alone; None where one is missing."""
        asked = self.ask()
        runs = obtain.recorded(asked.rows, list(self.seeds))
        return None if runs is None or not self._tested(runs) else replace(asked, runs=runs, beds=self._beds(asked))

    def verdict(self) -> Verdict:
        """The verdict of its page with all defaults."""
        if (results := self.recorded()) is None:
            return Verdict("not yet", (f"runs are missing: make runs ONLY={self.notebook}",))
        return results.verdict()

    def grid(self, seeds: Sequence[int] | None = None) -> list[Recipe]:
        """The recipes of its runs, with its own seeds or others, in the order of `rounds`."""
        return list(dict.fromkeys(recipe for each in self.rounds(seeds) for recipe in each))

    def rounds(self, seeds: Sequence[int] | None = None) -> list[list[Recipe]]:
        """The recipes of its runs, on all test beds: every row with the first seed, then every row with the next."""
        asked = self.ask()
        series = [(asked.rows, self.seeds)]
        series += [(there.rows, self.beds[bed].seeds) for bed, there in self._others(asked).items()]
        own = [(rows, list(theirs if seeds is None else seeds)) for rows, theirs in series]
        return [
            [recipe for rows, wanted in own for row in rows.values() for recipe in row.recipes(wanted[nth : nth + 1])]
            for nth in range(max(len(wanted) for _, wanted in own))
        ]

    def _others(self, asked: "Results", root: str | Path | None = None) -> dict[str, "Results"]:
        """What was asked for, on each of the other test beds, without runs; not on the data that it was asked for on."""
        found: dict[str, Results] = {}
        if self.rows is None:
            return found
        for name, bed in self.beds.items():
            there = bed.of(asked.settings)
            results = Results(self, there, self.rows(there), root=root)
            if results.trained_on != asked.trained_on:
                found[name] = results
        return found

    def _beds(self, asked: "Results", root: str | Path | None = None) -> dict[str, "Results"]:
        """The other test beds with what is recorded there of every row; only the page's own profile has any."""
        found = self._others(asked, root) if asked.settings.profile == "book" else {}
        runs = {bed: obtain.recorded_in_part(there.rows, self.beds[bed].seeds) for bed, there in found.items()}
        return {bed: replace(there, runs=runs[bed] if self._tested(runs[bed]) else {}) for bed, there in found.items()}

    def _tested(self, runs: Runs) -> bool:
        """Whether all runs have what the item needs."""
        every = [run for group in runs.values() for run in group]
        return all(any(key.startswith(f"{test} ") for key in run.metrics) for run in every for test in self.needs)


@dataclass(frozen=True)
class Results:
    """An item with the values it was asked for and, where it trains, its rows and their runs."""

    item: Item
    settings: SimpleNamespace
    rows: Mapping[str, Row] = field(default_factory=dict)
    runs: Runs = field(default_factory=dict)
    root: str | Path | None = None
    beds: Mapping[str, "Results"] = field(default_factory=dict)

    def on(self, bed: str) -> "Results":
        """The same on another of the item's test beds, from what is recorded there. Raises: ValueError for one it has not."""
        if bed not in self.item.beds:
            raise ValueError(
                f"{self.item.notebook} is not trained on {bed!r}; it has {', '.join(self.item.beds) or 'no other'}"
            )
        return self.beds.get(bed, replace(self, runs={}, beds={}))

    @property
    def trained_on(self) -> set[str]:
        """The names of the rows' data."""
        return {row.recipe.data for row in self.rows.values()}

    @property
    def trained(self) -> Runs:
        """The runs of the rows that have a seed."""
        return {name: group for name, group in self.runs.items() if self.rows[name].seeded}

    @property
    def tests(self) -> list[str]:
        """The verification sets that all runs were tested on; none where nothing is recorded."""
        return comparison.tests_of(self.runs) if self.runs else []

    def values(self, row: str, measures: Sequence[str]) -> list[float]:
        """What each run of a row has in the mean of some measures, in percent."""
        return [comparison.mean_of(measures)(run) for run in self.runs[row]]

    @property
    def meaningless(self) -> bool:
        """Whether these are numbers of a smoke run, or of data that only stands in for the right one."""
        trained_on = {(self.rows[name].recipe.data, run.recipe.data) for name, group in self.runs.items() for run in group}
        return bool(self.runs) and (self.settings.profile == "smoke" or any(data != used for data, used in trained_on))

    def stale(self) -> list[str]:
        """Why records of these runs no longer stand, one line for each that does not."""
        runs = [run for group in self.runs.values() for run in group if "created" in run.provenance]
        prepare(run.recipe for run in runs)
        return [reason for run in runs if (reason := stale(run, self.root))]

    def label(self) -> str:
        """One line that says what the numbers stand on. It goes beneath every table and figure of them."""
        if not self.runs:
            return "Computed"
        runs = [run for group in self.runs.values() for run in group]
        data = "; ".join(sorted({run.data_label for run in runs}))
        seeds = sorted({run.recipe.seed for run in runs})
        devices = ", ".join(sorted({f"{run.provenance['device']} {run.provenance['precision']}" for run in runs}))
        if recorded := sum("created" in run.provenance for run in runs):
            old = self.stale()
            kind = f"{recorded} recorded runs" + (f", {len(old)} of them STALE: {old[0]}" if old else "")
        else:
            kind = "your run, not recorded"
        steps = ", ".join(f"{s:,}" for s in sorted({run.provenance["steps"] for run in runs}))
        return f"{data} · {kind} · seeds {seeds} · {steps} steps · {devices}"

    def labels(self) -> str:
        """The same of all test beds with runs."""
        return "; ".join([self.label(), *(there.label() for there in self.beds.values() if there.runs)])

    def cost(self) -> str:
        """What the runs took, on each test bed, in a sentence."""
        beds = {"these data": self, **{bed: there for bed, there in self.beds.items() if there.runs}}
        runs = {bed: [run for group in there.runs.values() for run in group] for bed, there in beds.items()}
        told = [f"{hours(own):.1f} on {bed} ({len(own)} runs)" for bed, own in runs.items()]
        devices = {run.provenance["device"] for own in runs.values() for run in own}
        return f"All took, in hours of one {'thread' if devices == {'cpu'} else 'device'}: {', '.join(told)}."

    def recipe(self) -> "Table":
        """What all rows share, and what varies: data, network, loss, optimizer, rates, length, augmentation, seeds."""
        seeds = sorted({run.recipe.seed for group in self.trained.values() for run in group})
        return _table(descriptions.recipe_table({name: row.recipe for name, row in self.rows.items()}, seeds))

    def table(self) -> "Table":
        """Printed beside measured, or what the item tabulates."""
        return self.show((self.item.tabulate or beside)(self) if self.runs else pd.DataFrame())

    def show(self, frame: pd.DataFrame) -> "Table":
        """A table of these results, with the line beneath it that says what they stand on; where nothing is recorded, a
        sentence that says so."""
        if self.item.rows is None or self.runs:
            return _table(frame, self.label())
        nothing = f"Nothing is recorded here; make runs ONLY={self.item.notebook} makes what this page shows by default."
        if self.settings.profile != "book":
            nothing = f"Recorded runs alone are shown here, and not with profile {self.settings.profile!r}."
        return _table(pd.DataFrame(), nothing)

    def statements(self) -> "Table":
        """The paper's sentences that a computation decides."""
        assert self.item.statements is not None
        return _table(claims_table(self.item.statements(self.settings)), "Computed")

    def data(self) -> "Markdown":
        """Who is trained on and who is tested on, in a sentence for each data set."""
        names = dict.fromkeys(row.recipe.data for row in self.rows.values())
        sentences = dict.fromkeys(line for name in names for line in comparison.split_of(name, self.root))
        return _markdown(" ".join(sentences))

    @property
    def compared(self) -> Runs:
        """The runs whose differences are claimed: those with a seed, or those of them that the item compares."""
        return self.item.compared(self) if self.item.compared else self.trained

    def _everywhere(self, claims: Callable[["Results"], Sequence[Above | Within]] | None) -> list[Above | Within]:
        """What is claimed on each test bed, of rows that are named with it."""
        if claims is None:
            return []
        own, others = list(claims(self)), []
        for bed, there in self.beds.items():
            theirs = [_renamed(claim, bed) for claim in claims(there)] if there.runs else []
            if theirs and self.item.beds[bed].joined:
                same = {claim.text: claim for claim in theirs}
                own = [_together(claim, same[claim.text]) for claim in own]
            else:
                others += theirs
        return own + others

    @property
    def _all_runs(self) -> Runs:
        others = {f"{row}, {bed}": group for bed, there in self.beds.items() for row, group in there.compared.items()}
        return self.compared | others

    def judged(self) -> list[Effect]:
        """What was found for each of the item's claims, on all test beds: one family."""
        return effects.judge(self._everywhere(self.item.claims), self._all_runs)

    def effects(self) -> "Forest":
        """Every difference that is claimed or explored: drawn, in numbers, and what could have been shown."""
        from marginface.book.plots.forest import Forest

        more = effects.explore(self._everywhere(self.item.explored), self._all_runs)
        return Forest([*self.judged(), *more], self.labels())

    def verdict(self) -> Verdict:
        """The item's verdict from these results: the one that its page and the scorecard show."""
        if self.meaningless:
            return Verdict("not judged", (MEANINGLESS,))
        if self.item.judge is not None:
            verdict = self.item.judge(self)
        elif self.item.statements is not None:
            verdict = of_claims(self.item.statements(self.settings))
        else:
            verdict = effects.verdict(self.judged())
        old = [line for results in (self, *self.beds.values()) for line in results.stale()]
        return replace(verdict, evidence=(f"STALE: {old[0]}", *verdict.evidence)) if old else verdict


def _renamed(claim: Above | Within, bed: str) -> Above | Within:
    """The claim about rows of another test bed."""
    every = claim.row, claim.over, claim.among
    row, over, among = (tuple(f"{name}, {bed}" for name in effects.names(rows)) for rows in every)
    return replace(claim, row=row, over=over, among=among, bed=bed)


def _together(claim: Above | Within, other: Above | Within) -> Above | Within:
    """One claim on other people, too."""
    row, over = (effects.names(one) + effects.names(two) for one, two in ((claim.row, other.row), (claim.over, other.over)))
    among = claim.among + other.among if claim.among and other.among else ()
    return replace(claim, row=row, over=over, among=among)


def beside(results: Results) -> pd.DataFrame:
    """What is printed beside what was measured on every test, in percent: the mean over seeds with its 95 % interval."""
    paper, number = results.item.paper.lower(), int(results.item.name.split()[1])
    printed = published.table(paper, number)
    lines = []
    for name, group in results.runs.items():
        line = {"row": name}
        for test in results.tests:
            if len(own := printed[printed.benchmark == test]):
                theirs = published.value(own, results.rows[name].printed)
                line[f"{test} printed, %"] = "–" if theirs is None else f"{theirs:.2f}"
            line[f"{test} measured, %"] = comparison.mean(test, group)
        lines.append(line)
    return pd.DataFrame(lines)


def _table(frame: pd.DataFrame, stands_on: str = "") -> "Table":
    from marginface.book.plots.display import Table

    return Table(frame, stands_on)


def _markdown(text: str) -> "Markdown":
    from IPython.display import Markdown

    return Markdown(text)


def _warn(text: str) -> None:
    """Say something at the top of the page, or on stderr where there is none."""
    from IPython.core.getipython import get_ipython
    from IPython.display import HTML, display

    if get_ipython() is None:
        say(text)
    else:
        display(HTML(f'<p class="smoke"><strong>{escape(text)}</strong></p>'))
