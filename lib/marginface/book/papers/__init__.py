"""One module a paper: what its tables and figures need, the claims they make, and the verdicts on them."""

from collections.abc import Callable
from functools import partial

from marginface.book.papers.arcface import curves, table7
from marginface.book.papers.arcface import figure2 as arcface_figure2
from marginface.book.papers.iam import mnist
from marginface.book.papers.interface import benchmarks, figure1, figure2, selection, sign, table1
from marginface.book.papers.pam import figure1 as pam_figure1
from marginface.book.verdicts import Verdict
from marginface.training.recipes import Recipe

# the recorded runs of every notebook that has any
GRIDS: dict[str, list[Recipe]] = {
    **{f"table{number}": selection.grid(number) for number in range(1, 6)},
    "sign": sign.grid(),
    "iam/table2": mnist.grid(),
    "iam/figure2": mnist.grid(),
    "arcface/table7": table7.grid(),
    **{f"table{number}": benchmarks.grid() for number in (6, 7, 8)},
    "figure2": figure2.grid(),
}

# what the scorecard calls to judge a table or figure; the rest has no notebook yet
JUDGES: dict[tuple[str, str], Callable[[], Verdict]] = {
    ("InterFace", "Table I"): table1.recorded_verdict,
    ("InterFace", "Table II"): partial(selection.recorded_verdict, 2),
    ("InterFace", "Table III"): partial(selection.recorded_verdict, 3),
    ("InterFace", "Table IV"): partial(selection.recorded_verdict, 4),
    ("InterFace", "Table V"): partial(selection.recorded_verdict, 5),
    ("InterFace", "Table VI"): partial(benchmarks.recorded_verdict, 6),
    ("InterFace", "Table VII"): partial(benchmarks.recorded_verdict, 7),
    ("InterFace", "Table VIII"): partial(benchmarks.recorded_verdict, 8),
    ("InterFace", "Figure 1"): figure1.figure1_verdict,
    ("InterFace", "Figure 2"): figure2.figure2_recorded,
    ("ArcFace", "Table 1"): curves.table1_verdict,
    ("ArcFace", "Figure 2"): arcface_figure2.figure2_verdict,
    ("ArcFace", "Figure 3"): curves.table1_verdict,
    ("ArcFace", "Figure 4"): curves.figure4_verdict,
    ("ArcFace", "Table 7"): table7.table7_recorded,
    ("IAM", "Table 1"): mnist.table1_verdict,
    ("IAM", "Table 2"): mnist.table2_recorded,
    ("IAM", "Figure 2"): mnist.figure2_recorded,
    ("PAM", "Figure 1"): pam_figure1.figure1_verdict,
}
