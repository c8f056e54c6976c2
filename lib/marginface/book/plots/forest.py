"""The standard figures of differences: a line for each, with its interval, what is printed, and zero; and many at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from marginface.book.effects import EXPLORED, NOTHING, TOLD, Effect, Within
from marginface.book.plots import inline
from marginface.book.plots.display import COLOURS, Table
from marginface.book.telling import caption, power, table

FULL = 50.0  # percent; from which on a colour is as strong as it gets
EDGE = 100.0  # percent; where errors are few, an interval goes far beyond twice as many


@dataclass(frozen=True, eq=False)
class Forest:
    """Effects as a page shows them: drawn, as a table, with what the runs could have shown and what the numbers stand on."""

    effects: Sequence[Effect]
    stands_on: str = ""

    @property
    def description(self) -> str:
        """The figure in words, for readers who cannot see it."""
        lines = "; ".join(each.told for each in self.effects)
        return f"By how many percent the errors change, with intervals of 95 % and what is printed: {lines}."

    def _repr_html_(self) -> str:
        if not self.effects:
            return f"<p>{NOTHING}.</p>"
        figure = forest(self.effects)
        picture = inline.html(figure, self.description)
        plt.close(figure)
        said = f"<p><em>{escape(caption(self.effects))}</em></p><p>{escape(power(self.effects))}</p>"
        return f'<div class="differences">{picture}{said}{self._numbers()}</div>'

    def _numbers(self) -> str:
        """The table of the claims, and behind a line to open that of what was explored; of a page without claims that alone."""
        claims, more = ([each for each in self.effects if (each.word == EXPLORED) is explored] for explored in (False, True))
        if not claims or not more:
            return Table(table(self.effects), self.stands_on)._repr_html_()
        folded = Table(table(more).drop(columns="verdict"))._repr_html_()
        line = f"{len(more)} more differences were explored" if len(more) > 1 else "One more difference was explored"
        return f"{Table(table(claims), self.stands_on)._repr_html_()}<details><summary>{line}</summary>{folded}</details>"


def forest(effects: Sequence[Effect]) -> Figure:
    """One line a difference: filled for claims, grey for what was explored; hollow what is printed; a panel for each test bed.

    Test beds with some difference in common stand side by side, others beneath them. The band about zero is what counts as
    equivalent. An arrow stands for what lies beyond `EDGE`.
    """
    rows = _side_by_side(effects)
    lines = [list(dict.fromkeys(each.claim.text for each in effects if each.bed in beds)) for beds in rows]
    heights = [0.8 + 0.3 * len(own) for own in lines]
    figure = plt.figure(figsize=(9, 0.3 + sum(heights)), layout="constrained")
    for part, beds, own in zip(
        figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0], rows, lines, strict=True
    ):
        panels = part.subplots(1, len(beds), sharey=True, squeeze=False)[0]
        for axes, bed in zip(panels, beds, strict=True):
            axes.axvline(0, color="0.4", linewidth=1)
            for each in effects:
                if each.bed == bed:
                    _line(axes, each, own.index(each.claim.text))
            axes.set(title=f"on {bed}", xlabel="change, %")
        panels[0].set_yticks(range(len(own)), own)
        panels[0].set_ylim(len(own) - 0.5, -0.5)
    return figure


def _side_by_side(effects: Sequence[Effect]) -> list[list[str]]:
    """The test beds in rows: a bed joins the first row of which one has a difference of the same name."""
    texts: dict[str, set[str]] = {}
    for each in effects:
        texts.setdefault(each.bed, set()).add(each.claim.text)
    rows: list[list[str]] = []
    for bed, own in texts.items():
        row = next((row for row in rows if any(own & texts[other] for other in row)), None)
        rows.append([bed]) if row is None else row.append(bed)
    return rows


def _line(axes: Axes, effect: Effect, place: int) -> None:
    colour = "0.6" if effect.word == EXPLORED else COLOURS[0]
    if isinstance(effect.claim, Within):
        m = effect.claim.margin
        axes.fill_betweenx([place - 0.4, place + 0.4], -100 * m / (1 + m), 100 * m, color=COLOURS[2], alpha=0.15, linewidth=0)
    low, high = effect.interval
    if np.isfinite(low):
        axes.plot([min(100 * low, EDGE), min(100 * high, EDGE)], [place, place], color=colour, linewidth=2)
        _mark(axes, high, place, "", color=colour)
    _mark(axes, effect.share, place, "o", color=colour, markersize=5)
    if effect.claim.printed is not None:
        _mark(axes, effect.claim.printed, place, "D", markerfacecolor="none", color=COLOURS[3], markersize=6)


def _mark(axes: Axes, share: float, place: int, marker: str, **look: Any) -> None:
    """A mark where the share is, or an arrow at the edge that it lies beyond."""
    axes.plot([min(100 * share, EDGE)], [place], marker=">" if 100 * share > EDGE else marker, **look)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Effects of the same rows in several places, a column for each."""

    places: Mapping[str, Mapping[str, Effect]]
    stands_on: str = ""

    @property
    def description(self) -> str:
        """The figure in words: of every place what is told from none."""
        said = []
        for place, own in self.places.items():
            told = [f"{name} {_percent(each)}" for name, each in own.items() if each.word in TOLD]
            said.append(f"{place}: {', '.join(told) or 'nothing'}")
        return f"By how many percent the errors change, where that is more than chance. {'. '.join(said)}."

    def _repr_html_(self) -> str:
        figure = matrix(self.places)
        picture = inline.html(figure, self.description)
        plt.close(figure)
        note = f'<p class="stands-on">{escape(self.stands_on)}</p>' if self.stands_on else ""
        return f"{picture}{note}"


def matrix(places: Mapping[str, Mapping[str, Effect]]) -> Figure:
    """A cell for each effect: blue where errors are fewer, orange where they are more, the stronger the more, up to `FULL`."""
    names = list(dict.fromkeys(name for own in places.values() for name in own))
    figure, axes = plt.subplots(figsize=(2.2 + 1.2 * len(places), 0.6 + 0.28 * len(names)), layout="constrained")
    for x, own in enumerate(places.values()):
        for name, each in own.items():
            y, told = names.index(name), each.word in TOLD
            if told:
                strength = 0.15 + 0.6 * min(abs(100 * each.share) / FULL, 1)
                colour = COLOURS[0] if each.share < 0 else COLOURS[1]
                axes.add_patch(Rectangle((x - 0.48, y - 0.44), 0.96, 0.88, color=colour, alpha=strength, linewidth=0))
            look: dict[str, Any] = {"weight": "bold"} if told else {"alpha": 0.6}
            axes.text(x, y, _percent(each), ha="center", va="center", **look)
    axes.set(xlim=(-0.5, len(places) - 0.5), ylim=(len(names) - 0.5, -0.5))
    axes.set_xticks(range(len(places)), [place.replace(", ", ",\n") for place in places])
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _percent(effect: Effect) -> str:
    return f"{100 * effect.share:+.0f}" if abs(effect.share) >= 0.005 else "0"
