"""One module a paper: what its tables and figures need, the claims they make, and the verdicts on them."""

from collections.abc import Callable
from functools import partial

from marginface.papers import (
    arcface,
    arcface_losses,
    arcface_sphere,
    iam,
    interface,
    interface_benchmarks,
    interface_equivalence,
    interface_selection,
    interface_sign,
    interface_toy,
    pam,
)
from marginface.recipes import Recipe
from marginface.verdicts import Verdict

# the recorded runs of every notebook that has any
GRIDS: dict[str, list[Recipe]] = {
    **{f"table{number}": interface_selection.grid(number) for number in range(1, 6)},
    "sign": interface_sign.grid(),
    "iam/table2": iam.grid(),
    "iam/figure2": iam.grid(),
    "arcface/table7": arcface_losses.grid(),
    **{f"table{number}": interface_benchmarks.grid() for number in (6, 7, 8)},
    "figure2": interface_toy.grid(),
}

# what the scorecard calls to judge a table or figure; the rest has no notebook yet
JUDGES: dict[tuple[str, str], Callable[[], Verdict]] = {
    ("InterFace", "Table I"): interface_equivalence.recorded_verdict,
    ("InterFace", "Table II"): partial(interface_selection.recorded_verdict, 2),
    ("InterFace", "Table III"): partial(interface_selection.recorded_verdict, 3),
    ("InterFace", "Table IV"): partial(interface_selection.recorded_verdict, 4),
    ("InterFace", "Table V"): partial(interface_selection.recorded_verdict, 5),
    ("InterFace", "Table VI"): partial(interface_benchmarks.recorded_verdict, 6),
    ("InterFace", "Table VII"): partial(interface_benchmarks.recorded_verdict, 7),
    ("InterFace", "Table VIII"): partial(interface_benchmarks.recorded_verdict, 8),
    ("InterFace", "Figure 1"): interface.figure1_verdict,
    ("InterFace", "Figure 2"): interface_toy.figure2_recorded,
    ("ArcFace", "Table 1"): arcface.table1_verdict,
    ("ArcFace", "Figure 2"): arcface_sphere.figure2_verdict,
    ("ArcFace", "Figure 3"): arcface.table1_verdict,
    ("ArcFace", "Figure 4"): arcface.figure4_verdict,
    ("ArcFace", "Table 7"): arcface_losses.table7_recorded,
    ("IAM", "Table 1"): iam.table1_verdict,
    ("IAM", "Table 2"): iam.table2_recorded,
    ("IAM", "Figure 2"): iam.figure2_recorded,
    ("PAM", "Figure 1"): pam.figure1_verdict,
}
