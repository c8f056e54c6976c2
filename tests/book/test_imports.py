"""What nobody should wait for who does not use it: names of modules, not times."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

COMPILER = ("torch._dynamo", "torch._inductor", "sympy")
TRAINING = ("lightning", "lightning_fabric", "marginface.training.trainer", "marginface.training.loop", "tensorboard")
READERS = tuple(
    f"marginface.data.{name}" for name in ("faces", "glyphs", "insightface", "recordio", "mnist", "digits", "synthetic", "bins")
)
HEAVY = ("sklearn", "scipy.stats", "seaborn", "cv2", "skimage", "requests", *COMPILER, *TRAINING, *READERS)

TABLE = """
from marginface.book import plots
from marginface.book.papers.interface.selection import TABLE2

plots.style()
results = TABLE2.obtain()
assert all(len(group) == 5 for group in results.runs.values()), "these runs are recorded"
for shown in (results.data(), results.recipe(), results.table(), results.effects(), results.verdict()):
    assert shown._repr_html_() if hasattr(shown, "_repr_html_") else shown.data
plots.loss_curves(results.runs)
"""
SCORECARD = """
from marginface.book.scorecard import scorecard, tally, verdicts

found = verdicts()
assert scorecard(found) and tally(found)
"""
LOSSES = """
import torch
from marginface import IAM, ArcFace, MarginHead

head = MarginHead(8, 20, ArcFace(), regularizers=[IAM(0.1)])
head(torch.randn(4, 8, requires_grad=True), torch.arange(4)).backward()
"""
# the verdicts of records stand on rehearsals, which train: here as if somebody had played them before
REMEMBERED = "from marginface.book import rehearsals; rehearsals.prepare = list; rehearsals.remembered = lambda recipe: []\n"


def imported(code: str) -> set[str]:
    """The modules that a fresh Python has after running some code, without data at hand."""
    environment = os.environ | {"MARGINFACE_DATA": "", "MPLBACKEND": "agg", "XDG_CACHE_HOME": "/nonexistent"}
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.parametrize("code", [REMEMBERED + TABLE, REMEMBERED + SCORECARD, LOSSES], ids=["table", "scorecard", "losses"])
def test_what_reads_records_or_uses_a_loss_imports_nothing_heavy(code: str) -> None:
    assert imported(code).intersection(HEAVY) == set()


def test_the_package_itself_imports_no_torch() -> None:
    assert "torch" not in imported("import marginface; dir(marginface)")


def test_the_list_names_what_there_is() -> None:
    """A name that is misspelt would never be found among what is imported."""
    absent = {"lightning", "seaborn", "skimage", "tensorboard"}  # need not be installed
    assert {name for name in HEAVY if find_spec(name) is None} <= absent
