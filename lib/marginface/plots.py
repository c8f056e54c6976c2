"""One style for every figure of the book."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib.resources import files
from inspect import getsource
from itertools import count, cycle, islice, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import seaborn as sns
from IPython.display import HTML, Markdown, display
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from plotly.offline import get_plotlyjs_version
from scipy.spatial import ConvexHull

from marginface.margins import ArcFace, CosFace, Margin, SphereFace
from marginface.papers import arcface_sphere, iam_gradients, interface, pam
from marginface.papers.arcface import Boundary, boundary_angle, target_logit
from marginface.profiles import Profile
from marginface.training import Run

COLOURS = sns.color_palette("colorblind", 10).as_hex()
GRID = "rgba(128, 128, 128, 0.3)"
_numbers = count(1)


def style() -> None:
    """The style of static figures and tables: call it once, at the top of a notebook."""
    pd.set_option("display.max_colwidth", None)
    sns.set_theme(style="whitegrid", palette="colorblind", font_scale=0.9)
    plt.rcParams.update({"figure.dpi": 150, "savefig.bbox": "tight", "axes.titlesize": "medium", "legend.frameon": False})


def table(frame: pd.DataFrame, stands_on: str = "") -> None:
    """Display a table without its index, and beneath it what its numbers stand on."""
    note = f'<p class="stands-on">{escape(stands_on)}</p>' if stands_on else ""
    display(HTML(f'<div class="wide">{frame.to_html(index=False, border=0)}</div>{note}'))


def show(*figures: go.Figure, alt: str, after: str = "null") -> None:
    """Display interactive figures, side by side where there is room.

    Arguments:
        alt: what the figures show, for readers who cannot see them.
        after: a JavaScript function that is called with each figure's element once it is drawn.
    """
    script = files("marginface").joinpath("figure.js").read_text().replace("PLOTLYJS_VERSION", get_plotlyjs_version())
    cells = []
    for figure in figures:
        name = f"figure-{next(_numbers)}"
        # "</" would end the script element; in JSON the two spellings are the same
        data = json.dumps(json.loads(figure.to_json()), separators=(",", ":")).replace("</", "<\\/")
        cells.append(f'<div id="{name}"></div><script>{script}("{name}", {data}, {after});</script>')
    display(HTML(f'<div class="figures" role="img" aria-label="{alt}">{"".join(cells)}</div>'))


def source(*functions: Callable) -> None:
    """Display functions as they stand in the library."""
    code = "\n\n".join(getsource(function) for function in functions)
    display(Markdown(f"```python\n{code}```"))


def loss_profile(losses: Mapping[str, Margin | Profile], length: float = 1.0) -> Figure:
    """T (and U, dashed), and how long the gradient with respect to an embedding of that length is, over θ."""
    degrees = np.linspace(0, 180, 721)
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 7.2), sharex=True, layout="constrained")
    others = {}
    for i, ((name, loss), colour) in enumerate(zip(losses.items(), COLOURS, strict=False)):
        profile = loss if isinstance(loss, Profile) else Profile(loss)
        line = {"color": colour, "linewidth": max(1.2, 3.6 - 0.8 * i)}  # curves that coincide stay visible
        axes[0].plot(degrees, target_logit(profile.margin, degrees), **line, label=name)
        axes[1].plot(degrees, profile.gradient(degrees, length), **line)
        others[tuple(profile.others(degrees))] = colour
    for U, colour in others.items():
        axes[0].plot(degrees, U, "--", color="0.3" if len(others) == 1 else colour, label="U" if len(others) == 1 else None)
    axes[0].set(ylabel="target logit T(θ)", xlim=(0, 180))
    axes[1].set(xlabel="angle θ between an embedding and its class weight, degrees", ylabel="length of the gradient")
    axes[1].set_xticks(range(0, 181, 30))
    axes[0].legend()
    return figure


def logit_curves(losses: Mapping[str, Margin]) -> Figure:
    """ArcFace Figure 4 (a): T(θ) of every loss."""
    degrees = np.linspace(0, 180, 361)
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for (name, margin), colour in zip(losses.items(), COLOURS, strict=False):
        axes.plot(degrees, target_logit(margin, degrees), label=name, color=colour)
    axes.set(xlabel="angle between a sample and its class weight θ, degrees", ylabel="target logit T(θ)", xlim=(0, 180))
    axes.set_xticks(range(0, 181, 30))
    axes.legend()
    return figure


def logit_explorer() -> tuple[go.Figure, str]:
    """Target-logit curves with sliders: m of ArcFace and CosFace; m and λ of SphereFace. The figure, and its `after`."""
    degrees = np.linspace(0, 180, 181)
    additive = np.round(np.arange(0, 1.01, 0.05), 2)
    multiples, lambdas = [1, 1.5, 2, 3, 4], [0, 1, 2, 5, 10, 100]
    arc = [target_logit(ArcFace(m=m), degrees).round(4) for m in additive]
    cos = [target_logit(CosFace(m=m), degrees).round(4) for m in additive]
    sphere = [[target_logit(SphereFace(m=m, lam=lam), degrees).round(4).tolist() for lam in lambdas] for m in multiples]
    start = {"additive": 10, "multiple": multiples.index(4), "lambda": lambdas.index(5)}
    curves = {
        "Softmax": np.cos(np.radians(degrees)).round(4),
        "SphereFace": sphere[start["multiple"]][start["lambda"]],
        "CosineFace": cos[start["additive"]],
        "ArcFace": arc[start["additive"]],
    }
    figure = go.Figure(
        [go.Scatter(x=degrees, y=y, name=name, line={"color": COLOURS[i]}) for i, (name, y) in enumerate(curves.items())]
    )
    steps = [
        {"label": f"{m:.2f}", "method": "restyle", "args": [{"y": [c.tolist(), a.tolist()]}, [2, 3]]}
        for m, c, a in zip(additive, cos, arc, strict=True)
    ]
    figure.update_layout(
        **_layout(height=620, margin_bottom=280),
        xaxis={"title": "θ, degrees", "tickvals": list(range(0, 181, 30)), "range": [0, 180], "gridcolor": GRID},
        yaxis={"title": "T(θ)", "range": [-3.2, 1.1], "gridcolor": GRID, "automargin": True},
        sliders=[
            _slider("m of ArcFace and CosineFace: ", steps, start["additive"], 0),
            _slider("m of SphereFace: ", _skip(multiples), start["multiple"], 1),
            _slider("λ of SphereFace: ", _skip(lambdas), start["lambda"], 2),
        ],
    )
    after = f"""element => element.on("plotly_sliderchange", () => {{
        const [, m, lam] = element.layout.sliders.map(slider => slider.active);
        Plotly.restyle(element, {{y: [{json.dumps(sphere)}[m][lam]]}}, [1]);
    }})"""
    return figure, after


def boundaries(rows: Mapping[str, Boundary]) -> Figure:
    """ArcFace Figure 3: both classes' boundaries over the two angles; the margin between them is grey."""
    theta = np.linspace(0, 90, 361)
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 6.6), sharex=True, sharey=True, layout="constrained")
    for ax, (name, row) in zip(axes.flat, rows.items(), strict=True):
        one = boundary_angle(row.margin, theta)
        ok = np.isfinite(one)
        ax.plot(one[ok], theta[ok], "--", color=COLOURS[0])
        ax.plot(theta[ok], one[ok], "--", color=COLOURS[1])
        edge = np.interp(theta, theta[ok], one[ok])
        ax.fill_between(theta, edge, np.interp(theta, one[ok], theta[ok], right=90), color="0.8", where=edge >= 0)
        ax.set(title=name, xlim=(0, 90), ylim=(0, 90), aspect="equal", xticks=(0, 45, 90), yticks=(0, 45, 90))
        ax.text(8, 82, "class 1", va="top", color=COLOURS[0])
        ax.text(82, 8, "class 2", ha="right", color=COLOURS[1])
    figure.supxlabel("θ₁, degrees")
    figure.supylabel("θ₂, degrees")
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


def margin_widths(losses: Mapping[str, Margin]) -> Figure:
    """The width of the margin between two classes over the angle between their weights."""
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for (name, margin), colour in zip(losses.items(), COLOURS, strict=False):
        axes.plot(interface.BETWEEN, interface.widths(margin), label=name, color=colour)
    axes.set(xlabel="angle between the two class weights, degrees", ylabel="width of the margin, degrees", xlim=(30, 180))
    axes.legend()
    return figure


def interface_shift(between: Sequence[float] = (40, 90, 140)) -> Figure:
    """InterFace's f over the angle of a sample to its class weight, as printed; one panel a parameter set."""
    own = np.linspace(0, 120, 241)
    figure, axes = plt.subplots(1, 3, figsize=(8, 3), sharey=True, layout="constrained")
    for ax, (name, margin) in zip(axes, interface.SETS.items(), strict=True):
        for angle, colour in zip(between, COLOURS, strict=False):
            label = f"centres {angle:.0f}° apart"
            ax.plot(own, interface.shift_degrees(margin, own, angle), color=colour, label=label)
        ax.axhline(0, color="0.4", linewidth=0.8)
        ax.set(title=name, xlabel="θ_y, degrees", xlim=(0, 120))
    axes[0].set_ylabel("f, degrees")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def loss_curves(results: Mapping[str, list[Run]]) -> Figure:
    """The training loss of every run, one colour a loss."""
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for (name, group), colour in zip(results.items(), COLOURS, strict=False):
        for i, run in enumerate(group):
            axes.plot(run.curves["step"], run.curves["loss"], color=colour, alpha=0.7, label=name if i == 0 else None)
    axes.set(xlabel="step", ylabel="training loss")
    axes.set_xlim(left=0)
    axes.legend()
    return figure


def sphere(run: Run, title: str, samples: int | None = None) -> go.Figure:
    """Directions of a run's 3-D features on the unit sphere, one colour a class, to be rotated by hand."""
    directions, labels = _directions(run, samples)
    traces = [_globe()]
    for c in np.unique(labels):
        x, y, z = directions[labels == c].astype(np.float32).T
        dots = {"size": 1.8, "color": COLOURS[c]}
        traces.append(go.Scatter3d(x=x, y=y, z=z, mode="markers", name=str(c), marker=dots, hoverinfo="name"))
    layout = _layout(height=430) | {
        "title": {"text": title, "font": {"size": 14}, "x": 0.5},
        "legend": {"itemsizing": "constant"},
    }
    return go.Figure(traces, go.Layout(**layout, scene=_scene()))


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


def beta_sizes(betas: Sequence[float], s: float = 30.0, many: int = iam_gradients.CASIA_CLASSES) -> Figure:
    """IAM §4.1: the lengths of Eq. 13 and Eq. 14 over s, one colour a β; the angle to the own class is 60° in the lower row."""
    p, theta = np.linspace(0, 1, 101), iam_gradients.THETA
    figure, axes = plt.subplots(2, 2, figsize=(6.6, 6.4), sharey=True, layout="constrained")
    for beta, colour in zip(betas, COLOURS, strict=False):
        axes[0, 0].plot(p, iam_gradients.size13(p, beta), color=colour, label=f"β = {beta:g}")
        axes[0, 1].plot(p, iam_gradients.size14((1 - p) / 2, np.full_like(p, 0.5), beta), color=colour)
        for ax, classes in zip(axes[1], (2, many), strict=True):
            _, p1, p2 = iam_gradients.probabilities(np.array(60.0), theta, s, classes)
            ax.plot(theta, iam_gradients.size14(p1, p2, beta), color=colour)
    axes[0, 0].set(title="Eq. 13", xlabel="p of the own class", ylabel="length / s")
    axes[0, 1].set(title="Eq. 14, $p_{ij2}$ = 1/2", xlabel="p of the own class")
    axes[1, 0].set(title="Eq. 14, 2 classes", xlabel="inter-class angle, degrees", ylabel="length / s", xlim=(0, 120))
    axes[1, 1].set(title=f"Eq. 14, {many:,} classes", xlabel="inter-class angle, degrees", xlim=(0, 120))
    figure.legend(loc="outside lower center", ncols=len(betas), columnspacing=1, handlelength=1)
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
    points = arcface_sphere.spiral(10_000)
    triangles = ConvexHull(points).simplices
    middles = points[triangles].mean(axis=1)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    owners = np.stack([arcface_sphere.regions(margin, middles, W) for margin in losses.values()])
    kept = (owners != arcface_sphere.NOBODY).sum(axis=0)
    corners = dict(zip("ijk", triangles.T.astype(np.int16), strict=True))
    light = {"ambient": 1, "diffuse": 0, "specular": 0}
    mesh = go.Mesh3d(**_xyz(points), **corners, lighting=light, color="#bbbbbb", hoverinfo="skip")
    dots = go.Scatter3d(**_xyz(1.01 * W), mode="markers", marker={"size": 3, "color": "black"}, hoverinfo="skip")
    steps = _skip([round(float(name), 3) for name in losses])
    figure = go.Figure([mesh, dots])
    figure.update_layout(
        **_layout(height=460) | {"title": {"text": title, "font": {"size": 14}, "x": 0.5}, "showlegend": False},
        scene=_scene(eye=0.8) | {"domain": {"y": [0.12, 1]}},
        sliders=[_slider(prefix, steps, active, 0) | {"y": 0.1}],
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


def main() -> None:
    """Save IAM Figure 2 of the recorded runs as a picture: python -m marginface.plots FILE"""
    from marginface import runs
    from marginface.papers import iam

    style()
    found = runs.recorded(iam.recipes(iam.table2_rows()), iam.SEEDS[:1])
    if found is None:
        raise SystemExit("the runs are not recorded: make runs ONLY=iam/figure2")
    spheres({name: group[0] for name, group in found.items()}).savefig(sys.argv[1])


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


def _scene(eye: float = 1.05) -> dict:
    hidden = {"visible": False, "range": [-1.05, 1.05]}
    axes = {"xaxis": hidden, "yaxis": hidden, "zaxis": hidden}
    return axes | {"aspectmode": "cube", "camera": {"eye": dict.fromkeys("xyz", eye)}}


def _xyz(points: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip("xyz", points.astype(np.float32).T, strict=True))


def _layout(height: int, margin_bottom: int = 10) -> dict:
    transparent = "rgba(0, 0, 0, 0)"
    margin = {"l": 10, "r": 10, "t": 50, "b": margin_bottom}
    colours = {"paper_bgcolor": transparent, "plot_bgcolor": transparent, "template": "none"}
    return {"height": height, "margin": margin, "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"}} | colours


def _slider(prefix: str, steps: list[dict], active: int, row: int) -> dict:
    place = {"y": -0.28 - 0.3 * row, "x": 0.02, "len": 0.96, "pad": {"t": 0}}
    return {"active": active, "steps": steps, "currentvalue": {"prefix": prefix}, **place}


def _skip(values: Sequence[float]) -> list[dict]:
    return [{"label": f"{value:g}", "method": "skip"} for value in values]


if __name__ == "__main__":
    main()
