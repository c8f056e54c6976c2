"""Static figures as SVG within the page: sharp, with text that can be selected, in the colours of a light or dark page."""

import re
from html import escape
from io import StringIO
from itertools import count

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

INK = {"#262626": "currentColor", "#000000": "currentColor", "#cccccc": "var(--figure-grid, #cccccc)"}  # of book.mplstyle
LEAST = 0.7  # of its size to which a figure shrinks before it scrolls: smaller, nobody reads its text
_numbers = count(1)


def use() -> None:
    """From now on show Matplotlib's figures so, where there is a notebook."""
    from IPython.core.getipython import get_ipython

    if (shell := get_ipython()) is None or shell.display_formatter is None:
        return
    from matplotlib_inline.config import InlineBackend

    InlineBackend.instance(parent=shell).figure_formats = set()
    shell.display_formatter.formatters["text/html"].for_type(Figure, html)


def html(figure: Figure, description: str = "") -> str:
    """A figure in its own scrolling frame, with a description for readers who cannot see it: by default what it is made of."""
    content, name = StringIO(), f"f{next(_numbers)}-"
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "marginface"}):
        figure.savefig(content, format="svg", transparent=True)
    svg = content.getvalue().partition("<svg ")[2]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}", svg)
    svg = re.sub("|".join(INK), lambda found: INK[found[0]], svg)
    width = float(re.search(r'viewBox="0 0 (\S+)', svg)[1])  # type: ignore[index]
    svg = re.sub(r'\b(?:width|height)="[\d.]+pt" ', "", svg, count=2)
    style = f"width: 100%; min-width: {LEAST * width:.0f}pt; max-width: {1.1 * width:.0f}pt"
    label = escape(description or describe(figure))
    return f'<div class="figure" tabindex="0"><svg role="img" aria-label="{label}" style="{style}" {svg}</div>'


def describe(figure: Figure) -> str:
    """A figure in words, from its data: of every panel what is over what, and the course of each line that has a name."""
    names = {line.get_color(): text.get_text() for legend in figure.legends for line, text in _entries(legend)}
    panels = [_panel(axes, names) for axes in figure.axes if axes.get_visible()]
    shared = [text.get_text() for text in (figure._supxlabel, figure._supylabel) if text is not None]  # type: ignore[attr-defined]
    return " ".join([*(panel for panel in panels if panel), *shared]) or _drawing(figure)


def _drawing(figure: Figure) -> str:
    """Of what has no axes: how many pictures it shows, and the words in it."""
    pictures = sum(len(axes.images) for axes in figure.axes)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts] + [text.get_text() for text in figure.texts]
    words = list(dict.fromkeys(" ".join(text.split()) for text in texts if text.strip()))
    said = [f"{pictures} picture{'s' * (pictures != 1)}"] if pictures else ["a drawing"]
    return ": ".join([*said, *(["; ".join(words)] if words else [])]).capitalize() + "."


def _entries(legend: Legend) -> list[tuple[Line2D, Text]]:
    pairs = zip(legend.legend_handles, legend.get_texts(), strict=True)
    return [(handle, text) for handle, text in pairs if isinstance(handle, Line2D)]


def _panel(axes: Axes, names: dict) -> str:
    """A panel in a sentence."""
    about = " over ".join(filter(None, (axes.get_ylabel(), axes.get_xlabel())))
    head = ": ".join(filter(None, (axes.get_title(), about)))
    rows: dict[int, str] = {}
    for each in axes.get_shared_y_axes().get_siblings(axes):  # of panels side by side one has the names
        labels = zip(each.get_yticks(), (text.get_text() for text in each.get_yticklabels()), strict=False)
        rows |= {round(tick): text for tick, text in labels if re.search(r"[^\W\d]", text)}
    said = _ranges(axes, rows) if rows else _courses(axes, names)
    return ": ".join(filter(None, (head, "; ".join(said)))) + "." if head or said else ""


def _ranges(axes: Axes, rows: dict[int, str]) -> list[str]:
    """What each row that has a name spans."""
    spans: dict[str, list[float]] = {}
    for line in axes.get_lines():
        x, y = (np.asarray(values, dtype=np.float64) for values in line.get_data())
        if len(y) and (name := rows.get(round(float(y.mean())))) is not None:
            spans.setdefault(name, []).extend(x[np.isfinite(x)].tolist())
    return [f"{name} from {min(x):.4g} to {max(x):.4g}" for name, x in spans.items() if x]


def _courses(axes: Axes, names: dict) -> list[str]:
    """Where each line that has a name begins and ends, and where it is highest; of several of one name the first."""
    said: dict[str, str] = {}
    for line in axes.get_lines():
        label = str(line.get_label())
        label = names.get(line.get_color(), "") if label.startswith("_") else label
        x, y = (np.asarray(values, dtype=np.float64) for values in line.get_data())
        x, y = x[np.isfinite(y)], y[np.isfinite(y)]
        if label and label not in said and len(y) > 1:
            top = int(y.argmax())
            peak = f", highest {y[top]:.3g} at {x[top]:.3g}" if 0 < top < len(y) - 1 else ""
            said[label] = f"{label} from {y[0]:.3g} at {x[0]:.3g} to {y[-1]:.3g} at {x[-1]:.3g}{peak}"
    return list(said.values())
