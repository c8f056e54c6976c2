"""The figures and tables of the book: `plots.style()` once, then one call a figure."""

from marginface.book.plots.angles import class_angles
from marginface.book.plots.circle import circles, film
from marginface.book.plots.curves import (
    beta_sizes,
    boundaries,
    interface_shift,
    interface_signs,
    logit_curves,
    logit_explorer,
    loss_profile,
    margin_widths,
    pam_phi,
)
from marginface.book.plots.display import show, source, style, table
from marginface.book.plots.drawings import arc_margin, residual_unit, sizes_and_speeds
from marginface.book.plots.forest import Forest, Matrix, forest, matrix
from marginface.book.plots.geometry import pam_geometry, region_sphere, region_views, sectors, sphere, spheres
from marginface.book.plots.pipeline import pipeline
from marginface.book.plots.results import accuracies, loss_curves, parameter, target_logits, theta_histograms
from marginface.book.plots.searches import effect_curves, search_curves

__all__ = [
    "Forest",
    "Matrix",
    "accuracies",
    "arc_margin",
    "beta_sizes",
    "boundaries",
    "circles",
    "class_angles",
    "effect_curves",
    "film",
    "forest",
    "interface_shift",
    "interface_signs",
    "logit_curves",
    "logit_explorer",
    "loss_curves",
    "loss_profile",
    "margin_widths",
    "matrix",
    "pam_geometry",
    "pam_phi",
    "parameter",
    "pipeline",
    "region_sphere",
    "region_views",
    "residual_unit",
    "search_curves",
    "sectors",
    "show",
    "sizes_and_speeds",
    "source",
    "sphere",
    "spheres",
    "style",
    "table",
    "target_logits",
    "theta_histograms",
]
