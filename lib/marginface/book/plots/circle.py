"""InterFace Figure 2: classes on a circle, on paper and as an animation."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from marginface.book.papers.interface import figure2
from marginface.book.plots.display import COLOURS, layout, skip, slider
from marginface.training import Run


def circles(runs: Mapping[str, Run]) -> Figure:
    """Images as dots, class weights as rays; inside the angles from one to the next, outside the spreads, in degrees."""
    figure, panels = plt.subplots(2, 2, figsize=(7.2, 7.6), layout="constrained")
    for axes, (name, run) in zip(panels.flat, runs.items(), strict=True):
        found = figure2.circle(run)
        dots = _place(found.samples, 1.0)
        axes.scatter(*dots, s=5, c=np.array(COLOURS)[found.labels], linewidths=0, alpha=0.6)
        for centre, gap, spread, c in zip(found.centres, found.gaps, found.spreads, found.classes, strict=True):
            axes.plot(*zip((0, 0), _place(centre, 0.94), strict=True), color=COLOURS[c], linewidth=1.8)
            axes.plot(*zip((0, 0), _place(centre + gap / 2, 0.94), strict=True), ":", color="0.6", linewidth=1)
            axes.text(*_place(centre + gap / 2, 0.62), f"{gap:.0f}°", ha="center", va="center", fontsize=7.5, color="0.25")
            axes.text(*_place(centre, 1.17), f"{spread:.1f}°", ha="center", va="center", fontsize=8, color=COLOURS[c])
        axes.set(title=name, xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal")
        axes.set_axis_off()
    return figure


def film(runs: Mapping[str, Run]) -> tuple[go.Figure, str]:
    """The same while it is trained, with a slider over the steps and a button that plays it. The figure, and its `after`."""
    figure = make_subplots(2, 2, subplot_titles=list(runs), horizontal_spacing=0.02, vertical_spacing=0.08)
    films = [figure2.film(run) for run in runs.values()]
    for i, (run, (images, weights, _)) in enumerate(zip(runs.values(), films, strict=True)):
        where = {"row": i // 2 + 1, "col": i % 2 + 1}
        labels = run.arrays["train_labels"][: images.shape[1]]
        rays = np.stack([np.zeros((2, weights.shape[1])), _place(weights[-1], 0.94)], axis=2).reshape(2, -1)
        rays = np.insert(rays, range(2, rays.shape[1] + 1, 2), np.nan, axis=1)
        line = {"color": "gray", "width": 1.5}
        figure.add_trace(go.Scatter(x=rays[0], y=rays[1], mode="lines", line=line, hoverinfo="skip"), **where)
        x, y = _place(images[-1], 1.0)
        dots = {"size": 5, "color": [COLOURS[c] for c in labels], "opacity": 0.7}
        figure.add_trace(go.Scatter(x=x, y=y, mode="markers", marker=dots, hoverinfo="skip"), **where)
    steps = films[0][2].tolist()
    play = {"label": "▶ play", "method": "skip"}
    button = {
        "type": "buttons",
        "buttons": [play],
        "x": 0.02,
        "y": -0.02,
        "xanchor": "left",
        "yanchor": "top",
        "font": {"color": "#333333"},
    }
    figure.update_layout(
        **layout(height=720, margin_bottom=110) | {"showlegend": False},
        sliders=[slider("after step ", skip(steps), len(steps) - 1, 0) | {"y": -0.02, "x": 0.2, "len": 0.78}],
        updatemenus=[button],
        meta=[{"images": images.round().tolist(), "weights": weights.round(1).tolist()} for images, weights, _ in films],
    )
    figure.update_xaxes(visible=False, range=[-1.1, 1.1])
    figure.update_yaxes(visible=False, range=[-1.1, 1.1])
    for i in range(1, 5):
        figure.layout[f"yaxis{i}" if i > 1 else "yaxis"].update(scaleanchor=f"x{i}" if i > 1 else "x")
    after = """element => {
        const films = element.layout.meta, along = Math.PI / 180;
        const draw = frame => {
            const x = [], y = [];
            for (const {images, weights} of films) {
                x.push(weights[frame].flatMap(a => [0, 0.94 * Math.cos(a * along), null]));
                y.push(weights[frame].flatMap(a => [0, 0.94 * Math.sin(a * along), null]));
                x.push(images[frame].map(a => Math.cos(a * along)));
                y.push(images[frame].map(a => Math.sin(a * along)));
            }
            Plotly.restyle(element, {x, y}, x.map((_, i) => i));
        };
        let clock;
        element.on("plotly_sliderchange", event => { clearInterval(clock); draw(event.slider.active); });
        element.on("plotly_buttonclicked", () => {
            clearInterval(clock);
            let frame = 0;
            clock = setInterval(() => {
                if (frame === films[0].images.length) return clearInterval(clock);
                draw(frame);
                Plotly.relayout(element, {"sliders[0].active": frame++});
            }, 300);
        });
    }"""
    return figure, after


def _place(degrees: np.ndarray | float, radius: float) -> np.ndarray:
    """(2, …): x and y of directions on a circle."""
    return radius * np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
