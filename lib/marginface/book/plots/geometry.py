"""Figures on the circle and on the sphere."""

from collections.abc import Mapping
from itertools import cycle, islice, pairwise

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from marginface.book.papers.arcface import figure2 as arcface_sphere
from marginface.book.papers.interface import figure1 as interface
from marginface.book.papers.pam import figure1 as pam
from marginface.book.plots.display import COLOURS, layout, scene, skip, slider, xyz
from marginface.margins import Margin
from marginface.training import Run


def sphere(run: Run, title: str, samples: int | None = None) -> go.Figure:
    """Directions of a run's 3-D features on the unit sphere, one colour a class, to be rotated by hand."""
    directions, labels = _directions(run, samples)
    traces = [_globe()]
    for c in np.unique(labels):
        x, y, z = directions[labels == c].astype(np.float32).T
        dots = {"size": 1.8, "color": COLOURS[c]}
        traces.append(go.Scatter3d(x=x, y=y, z=z, mode="markers", name=str(c), marker=dots, hoverinfo="name"))
    style = layout(height=430) | {
        "title": {"text": title, "font": {"size": 14}, "x": 0.5},
        "legend": {"itemsizing": "constant"},
    }
    return go.Figure(traces, go.Layout(**style, scene=scene()))


def spheres(runs: Mapping[str, Run], samples: int | None = None) -> Figure:
    """IAM Figure 2 on paper: the same spheres, seen from one side."""
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 6.8), subplot_kw={"projection": "3d"}, layout="constrained")
    for ax, (name, run) in zip(axes.flat, runs.items(), strict=True):
        directions, labels = _directions(run, samples)
        colours = np.array(COLOURS)[labels]
        ax.scatter(*directions.astype(np.float64).T, s=0.6, c=colours, rasterized=True)
        ax.set_title(name)
        ax.set_axis_off()
        ax.set(xlim=(-0.75, 0.75), ylim=(-0.75, 0.75), zlim=(-0.75, 0.75), box_aspect=(1, 1, 1))
    handles = [plt.Line2D([], [], marker="o", linestyle="", color=COLOURS[c], label=str(c)) for c in range(10)]
    figure.legend(handles=handles, loc="outside lower center", ncols=10, handletextpad=0, columnspacing=1)
    return figure


def sectors(losses: Mapping[str, Margin]) -> Figure:
    """InterFace Figure 1: what belongs to each of three classes on a circle, and in grey the margins between them."""
    figure, axes = plt.subplots(1, len(losses), figsize=(3.3 * len(losses), 3.2), subplot_kw={"projection": "polar"})
    for ax, (name, margin) in zip(np.atleast_1d(axes), losses.items(), strict=True):
        for (left, colour_left), (right, colour_right) in pairwise(zip(interface.CENTRES, COLOURS, strict=False)):
            (reach,) = interface.boundary(margin, np.array([right - left]))
            arcs = (
                (left, left + reach, colour_left),
                (left + reach, right - reach, "0.6"),
                (right - reach, right, colour_right),
            )
            for start, end, colour in arcs:
                ax.fill_between(np.radians(np.linspace(start, end, 50)), 0, 1, color=colour, alpha=0.35, linewidth=0)
            ax.text(np.radians((left + right) / 2), 1.12, f"{right - left - 2 * reach:.2f}°", ha="center", va="center")
        for number, (centre, colour) in enumerate(zip(interface.CENTRES, COLOURS, strict=False), start=1):
            ax.plot(np.radians([centre, centre]), [0, 1], color=colour, linewidth=2)
            ax.text(np.radians(centre), 1.1, f"W{number}", color=colour, ha="center", va="center")
        ax.set(thetamin=0, thetamax=180, ylim=(0, 1), yticks=[], xticks=[], title=name)
        ax.grid(False)
    return figure


def pam_geometry(drawn: pam.Plane, losses: Mapping[str, Margin]) -> Figure:
    """PAM Figure 1: target areas in the plane, boundaries as dashed lines, samples and their margin."""
    figure, axes = plt.subplots(2, 2, figsize=(6.6, 6.8), subplot_kw={"projection": "polar"}, layout="constrained")
    directions = np.radians(pam.CIRCLE)
    pairs = (drawn.weights, drawn.weights[::-1])
    for ax, (name, margin) in zip(axes.flat, losses.items(), strict=False):
        for (own, other), colour in zip(pairs, COLOURS, strict=False):
            inside = pam.target_area(margin, own, other)
            ax.fill_between(directions, 0, 1, where=inside, color=colour, alpha=0.25, linewidth=0)
            ax.plot(np.radians([pam.boundary(margin, own, other)] * 2), [0, 1], "--", color=colour)
        ax.set_title(f"target areas, {name}")
    ax = axes.flat[-1]
    edges = []
    for weight, samples, colour, side in zip(drawn.weights, drawn.samples, COLOURS, (-1, 1), strict=False):
        reach = np.abs(samples - weight).max()
        ax.fill_between(
            np.radians(np.linspace(weight - reach, weight + reach, 91)), 0, 1, color=colour, alpha=0.25, linewidth=0
        )
        ax.scatter(np.radians(samples), np.ones_like(samples), s=6, color=colour, zorder=3)
        edges.append(weight + side * reach)
    ax.plot(np.radians(np.linspace(edges[0], edges[1], 61)), np.full(61, 0.6), color="black")
    ax.text(np.radians(90), 0.68, f"θ₁₂ = {edges[0] - edges[1]:.0f}°", ha="center")
    ax.set_title("samples and their ranges")
    for ax in axes.flat:
        for k, (weight, colour) in enumerate(zip(drawn.weights, COLOURS, strict=False), start=1):
            ax.annotate("", (np.radians(weight), 0.95), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour})
            ax.text(np.radians(weight), 1.14, f"W{'₁₂'[k - 1]}", ha="center", va="center", color=colour)
        ax.set(ylim=(0, 1.05), xticks=[], yticks=[])
        ax.spines["polar"].set_color("0.8")
    return figure


def region_views(losses: Mapping[str, Margin], W: np.ndarray) -> Figure:
    """ArcFace Figure 2 on paper: one side, a colour a class, grey for nobody; white, from a centre to the next."""
    axis = np.linspace(-1, 1, 801)
    x, y = np.meshgrid(axis, axis)
    visible = x**2 + y**2 < 1
    toward = np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    directions = np.stack([x, y, toward], axis=-1)[visible]
    palette = np.array([*map(to_rgb, _class_colours(len(W))), (0.82, 0.82, 0.82)])  # the last, at arcface_sphere.NOBODY
    front = W[W[:, 2] > 0]
    nearest = np.unravel_index((front @ front.T - 2 * np.eye(len(front))).argmax(), (len(front), len(front)))
    steps = np.linspace(0, 1, 41)[:, None]
    arc = (1 - steps) * front[nearest[0]] + steps * front[nearest[1]]
    arc /= np.linalg.norm(arc, axis=1, keepdims=True)
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 6.8), layout="constrained")
    for ax, (name, margin) in zip(axes.flat, losses.items(), strict=True):
        image = np.ones((*x.shape, 4))
        image[visible, :3] = palette[arcface_sphere.regions(margin, directions, W)]
        image[~visible, 3] = 0
        ax.imshow(image, extent=(-1, 1, -1, 1), origin="lower", interpolation="none")
        ax.plot(arc[:, 0], arc[:, 1], color="white")
        ax.scatter(front[:, 0], front[:, 1], s=14, color="black", zorder=3)
        ax.set_title(name)
        ax.set_axis_off()
    return figure


def region_sphere(title: str, prefix: str, losses: Mapping[str, Margin], W: np.ndarray, active: int) -> tuple[go.Figure, str]:
    """The same to rotate, with a slider over losses of rising margin. The figure, and its `after`.

    Every triangle of the sphere knows its class and up to which of the losses it stays that class's.
    """
    from scipy.spatial import ConvexHull

    points = arcface_sphere.spiral(10_000)
    triangles = ConvexHull(points).simplices
    middles = points[triangles].mean(axis=1)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    owners = np.stack([arcface_sphere.regions(margin, middles, W) for margin in losses.values()])
    kept = (owners != arcface_sphere.NOBODY).sum(axis=0)
    corners = dict(zip("ijk", triangles.T.astype(np.int16), strict=True))
    light = {"ambient": 1, "diffuse": 0, "specular": 0}
    mesh = go.Mesh3d(**xyz(points), **corners, lighting=light, color="#bbbbbb", hoverinfo="skip")
    dots = go.Scatter3d(**xyz(1.01 * W), mode="markers", marker={"size": 3, "color": "black"}, hoverinfo="skip")
    steps = skip([round(float(name), 3) for name in losses])
    figure = go.Figure([mesh, dots])
    figure.update_layout(
        **layout(height=460) | {"title": {"text": title, "font": {"size": 14}, "x": 0.5}, "showlegend": False},
        scene=scene(eye=0.8) | {"domain": {"y": [0.12, 1]}},
        sliders=[slider(prefix, steps, active, 0) | {"y": 0.1}],
        meta={"owner": owners.max(axis=0).tolist(), "kept": kept.tolist(), "colours": _class_colours(len(W))},
    )
    after = """element => {
        const {owner, kept, colours} = element.layout.meta;
        const paint = step => Plotly.restyle(element, {
            facecolor: [owner.map((c, i) => kept[i] > step ? colours[c] : "#bbbbbb")]}, [0]);
        element.on("plotly_sliderchange", event => paint(event.slider.active));
        paint(element.layout.sliders[0].active);
    }"""
    return figure, after


def _directions(run: Run, samples: int | None) -> tuple[np.ndarray, np.ndarray]:
    return run.arrays["train_directions"][:samples], run.arrays["train_labels"][:samples]


def _globe() -> go.Surface:
    azimuth, polar = np.meshgrid(np.linspace(0, 2 * np.pi, 49), np.linspace(0, np.pi, 25))
    x, y, z = np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)
    grey = [[0, "#888888"], [1, "#888888"]]
    return go.Surface(x=0.985 * x, y=0.985 * y, z=0.985 * z, opacity=0.18, colorscale=grey, showscale=False, hoverinfo="skip")


def _class_colours(classes: int) -> list[str]:
    """A colour for every class, none of them grey; they repeat where there are many."""
    return list(islice(cycle(COLOURS[:7] + COLOURS[8:]), classes))
