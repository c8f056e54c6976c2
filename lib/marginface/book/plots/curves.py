"""Figures of something over an angle, a probability or a step."""

import json
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
import torch
from matplotlib.figure import Figure

from marginface.adjacent import phi
from marginface.book.papers.arcface.curves import Boundary, boundary_angle, target_logit
from marginface.book.papers.iam import gradients
from marginface.book.papers.interface import figure1
from marginface.book.papers.interface.sign import BETWEEN
from marginface.book.plots.display import COLOURS, GRID, layout, skip, slider
from marginface.book.plots.looks import looks
from marginface.book.profiles import Profile
from marginface.margins import ArcFace, CosFace, InterFace, Margin, SphereFace


def loss_profile(losses: Mapping[str, Margin | Profile], length: float = 1.0) -> Figure:
    """T (and U, dashed), and how long the gradient with respect to an embedding of that length is, over θ."""
    degrees = np.linspace(0, 180, 721)
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 7.2), sharex=True, layout="constrained")
    others = {}
    for i, (name, look) in enumerate(looks(losses).items()):
        loss = losses[name]
        profile = loss if isinstance(loss, Profile) else Profile(loss)
        line = {"color": look.colour, "linewidth": max(1.2, 3.6 - 0.8 * i)}  # curves that coincide stay visible
        axes[0].plot(degrees, target_logit(profile.margin, degrees), **line, label=name)
        axes[1].plot(degrees, profile.gradient(degrees, length), **line)
        others[tuple(profile.others(degrees))] = look.colour
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
    for name, look in looks(losses).items():
        axes.plot(degrees, target_logit(losses[name], degrees), label=name, **look.of_line)
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
        [go.Scatter(x=degrees, y=curves[name], name=name, line={"color": look.colour}) for name, look in looks(curves).items()]
    )
    steps = [
        {"label": f"{m:.2f}", "method": "restyle", "args": [{"y": [c.tolist(), a.tolist()]}, [2, 3]]}
        for m, c, a in zip(additive, cos, arc, strict=True)
    ]
    figure.update_layout(
        **layout(height=620, margin_bottom=280),
        xaxis={"title": "θ, degrees", "tickvals": list(range(0, 181, 30)), "range": [0, 180], "gridcolor": GRID},
        yaxis={"title": "T(θ)", "range": [-3.2, 1.1], "gridcolor": GRID, "automargin": True},
        sliders=[
            slider("m of ArcFace and CosineFace: ", steps, start["additive"], 0),
            slider("m of SphereFace: ", skip(multiples), start["multiple"], 1),
            slider("λ of SphereFace: ", skip(lambdas), start["lambda"], 2),
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


def margin_widths(losses: Mapping[str, Margin]) -> Figure:
    """The width of the margin between two classes over the angle between their weights."""
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for name, look in looks(losses).items():
        axes.plot(figure1.BETWEEN, figure1.widths(losses[name]), label=name, **look.of_line)
    axes.set(xlabel="angle between the two class weights, degrees", ylabel="width of the margin, degrees", xlim=(30, 180))
    axes.legend()
    return figure


def interface_shift(between: Sequence[float] = (40, 90, 140)) -> Figure:
    """InterFace's f over the angle of a sample to its class weight, as printed; one panel a parameter set and unit of b."""
    own = np.linspace(0, 120, 241)
    figure, axes = plt.subplots(1, len(figure1.SETS), figsize=(9.5, 3), sharey=True, layout="constrained")
    for ax, (name, margin) in zip(axes, figure1.SETS.items(), strict=True):
        for angle, colour in zip(between, COLOURS, strict=False):
            label = f"centres {angle:.0f}° apart"
            ax.plot(own, figure1.shift_degrees(margin, own, angle), color=colour, label=label)
        ax.axhline(0, color="0.4", linewidth=0.8)
        ax.set(title=name, xlabel="θ_y, degrees", xlim=(0, 120))
    axes[0].set_ylabel("f, degrees")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def interface_signs(losses: Mapping[str, InterFace], between: float = BETWEEN, other: float = 80.0) -> Figure:
    """f over γ = θ_y / d_inter with both signs, and what that does to the logit of a class at the angle `other`."""
    gamma = np.linspace(0, 1.2, 241)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for (name, margin), colour in zip(losses.items(), (look.colour for look in looks(losses).values()), strict=True):
        f = figure1.shift_degrees(margin, gamma * between, between)
        for sign, line in ((1, "-"), (-1, "--")):
            label = f"{name}, as {'printed' if sign > 0 else 'released'}"
            axes[0].plot(gamma, sign * f, line, color=colour, label=label)
            logit = np.cos(np.radians(other - sign * f)) - np.cos(np.radians(other))
            axes[1].plot(gamma, margin.scale * logit, line, color=colour)
    for ax in axes:
        ax.axhline(0, color="0.4", linewidth=0.8)
        ax.set(xlabel=f"γ, for class weights {between:.0f}° apart", xlim=(0, 1.2))
    axes[0].set_ylabel("f, degrees")
    axes[1].set_ylabel(f"change of the logit of a class at {other:.0f}°")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def beta_sizes(betas: Sequence[float], s: float = 30.0, many: int = gradients.CASIA_CLASSES) -> Figure:
    """IAM §4.1: the lengths of Eq. 13 and Eq. 14 over s, one colour a β; the angle to the own class is 60° in the lower row."""
    p, theta = np.linspace(0, 1, 101), gradients.THETA
    figure, axes = plt.subplots(2, 2, figsize=(6.6, 6.4), sharey=True, layout="constrained")
    for beta, colour in zip(betas, COLOURS, strict=False):
        axes[0, 0].plot(p, gradients.size13(p, beta), color=colour, label=f"β = {beta:g}")
        axes[0, 1].plot(p, gradients.size14((1 - p) / 2, np.full_like(p, 0.5), beta), color=colour)
        for ax, classes in zip(axes[1], (2, many), strict=True):
            _, p1, p2 = gradients.probabilities(np.array(60.0), theta, s, classes)
            ax.plot(theta, gradients.size14(p1, p2, beta), color=colour)
    axes[0, 0].set(title="Eq. 13", xlabel="p of the own class", ylabel="length / s")
    axes[0, 1].set(title="Eq. 14, $p_{ij2}$ = 1/2", xlabel="p of the own class")
    axes[1, 0].set(title="Eq. 14, 2 classes", xlabel="inter-class angle, degrees", ylabel="length / s", xlim=(0, 120))
    axes[1, 1].set(title=f"Eq. 14, {many:,} classes", xlabel="inter-class angle, degrees", xlim=(0, 120))
    figure.legend(loc="outside lower center", ncols=len(betas), columnspacing=1, handlelength=1)
    return figure


def pam_phi(ranges: Sequence[float] = (0, 10, 30)) -> Figure:
    """PAM's φ over the angle between two class weights, and the size of its slope; both classes reach that many degrees."""
    degrees = np.linspace(0, 180, 721)
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 6.4), sharex=True, layout="constrained")
    for reach, colour in zip(ranges, COLOURS, strict=False):
        theta = torch.from_numpy(np.radians(degrees)).requires_grad_()
        R = torch.full_like(theta, np.cos(np.radians(reach))).detach()
        value = phi(theta.cos(), R, R)
        (slope,) = torch.autograd.grad(value.sum(), theta)
        axes[0].plot(degrees, value.detach().numpy(), color=colour, label=f"ranges of {reach}°")
        axes[1].plot(degrees, slope.abs().numpy(), color=colour)
    axes[0].set(ylabel="φ", xlim=(0, 180))
    axes[1].set(xlabel="angle between the two class weights, degrees", ylabel="|dφ/dθ|")
    axes[1].set_xticks(range(0, 181, 30))
    axes[0].legend()
    return figure
