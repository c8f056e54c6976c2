"""One style for every figure and table of the book, and how they are shown."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from inspect import getsource
from itertools import count

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from IPython.display import HTML, Markdown, display
from plotly.offline import get_plotlyjs_version

from marginface.book.plots import inline

# seaborn's "colorblind", after Wong, Nature Methods 8 (2011), 441: as in book.mplstyle
COLOURS = ["#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"]
INTERVAL = re.compile(r"(\[[-+\d.]+), ([-+\d.]+)(?=\])")  # not to be broken over lines
GRID = "rgba(128, 128, 128, 0.3)"
_numbers = count(1)


def style() -> None:
    """The style of static figures and tables: call it once, at the top of a notebook."""
    pd.set_option("display.max_colwidth", None)
    plt.style.use("marginface.book.plots.book")
    inline.use()


@dataclass(frozen=True, eq=False)
class Table:
    """A table as a page shows it: without its index, above it what it comes to, and beneath it what its numbers stand on."""

    frame: pd.DataFrame
    stands_on: str = ""
    comes_to: str = ""

    def _repr_html_(self) -> str:
        note = f'<p class="stands-on">{escape(self.stands_on)}</p>' if self.stands_on else ""
        if self.frame.columns.empty:  # there is no table, but why
            return note
        table = INTERVAL.sub(r"\1,&nbsp;\2", self.frame.to_html(index=False, border=0)).replace(" %", "&nbsp;%")
        before = f"<p><strong>{escape(self.comes_to)}</strong></p>".replace(" %", "&nbsp;%") if self.comes_to else ""
        return f'{before}<div class="wide" tabindex="0">{table}</div>{note}'


def table(frame: pd.DataFrame, stands_on: str = "") -> None:
    """Display a `Table`."""
    display(Table(frame, stands_on))


def show(*figures: go.Figure, alt: str, after: str = "null") -> None:
    """Display interactive figures, side by side where there is room.

    Arguments:
        alt: what the figures show, for readers who cannot see them.
        after: a JavaScript function that is called with each figure's element once it is drawn.
    """
    script = (
        files("marginface.book.plots").joinpath("figure.js").read_text().replace("PLOTLYJS_VERSION", get_plotlyjs_version())
    )
    cells = []
    for figure in figures:
        name = f"figure-{next(_numbers)}"
        # "</" would end the script element; in JSON the two spellings are the same
        data = json.dumps(json.loads(figure.to_json()), separators=(",", ":")).replace("</", "<\\/")
        cells.append(f'<div id="{name}"></div><script>{script}("{name}", {data}, {after});</script>')
    display(HTML(f'<div class="figures" role="group" aria-label="{alt}">{"".join(cells)}</div>'))


def source(*functions: Callable) -> None:
    """Display functions as they stand in the library."""
    code = "\n\n".join(getsource(function) for function in functions)
    display(Markdown(f"```python\n{code}```"))


def layout(height: int, margin_bottom: int = 10) -> dict:
    transparent = "rgba(0, 0, 0, 0)"
    margin = {"l": 10, "r": 10, "t": 50, "b": margin_bottom}
    colours = {"paper_bgcolor": transparent, "plot_bgcolor": transparent, "template": "none"}
    return {"height": height, "margin": margin, "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"}} | colours


def scene(eye: float = 1.05) -> dict:
    hidden = {"visible": False, "range": [-1.05, 1.05]}
    axes = {"xaxis": hidden, "yaxis": hidden, "zaxis": hidden}
    return axes | {"aspectmode": "cube", "camera": {"eye": dict.fromkeys("xyz", eye)}}


def slider(prefix: str, steps: list[dict], active: int, row: int) -> dict:
    place = {"y": -0.28 - 0.3 * row, "x": 0.02, "len": 0.96, "pad": {"t": 0}}
    return {"active": active, "steps": steps, "currentvalue": {"prefix": prefix}, **place}


def skip(values: Sequence[float]) -> list[dict]:
    return [{"label": f"{value:g}", "method": "skip"} for value in values]


def xyz(points: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip("xyz", points.astype(np.float32).T, strict=True))
