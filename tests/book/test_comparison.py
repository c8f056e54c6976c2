"""What tables that compare losses are made of, on runs whose numbers are known."""

from pathlib import Path

import numpy as np
import pytest

from marginface.book import comparison
from marginface.book.obtain import Runs
from marginface.margins import ArcFace
from marginface.training import Run
from marginface.training.recipes import Recipe


def run(**right: int) -> Run:
    """A run that judged so many of 1,000 pairs rightly, a keyword a measure."""
    arrays = {f"{measure} correct": np.arange(1000) < count for measure, count in right.items()}
    metrics = {measure: count / 1000 for measure, count in right.items()}
    return Run(Recipe(ArcFace()), metrics, {}, arrays, "made up", "")


@pytest.fixture
def runs() -> Runs:
    spread = (-2, 0, 2)
    pairs = {"templates TAR@FAR=0.001": 500, "identification rank-1": 300}
    pairs |= {"LFW all pairs AUC": 900, "LFW all pairs TAR@FAR=1e-04": 100}  # beside what papers have, not among it
    return {
        "A": [run(**{"AgeDB-30": 700 + more, "LFW": 800 + more, "CFP-FP": 600, "only here": 1} | pairs) for more in spread],
        "B": [run(**{"AgeDB-30": 720 + more, "LFW": 900 + more, "CFP-FP": 600} | pairs) for more in spread],
    }


def test_verification_sets_are_told_from_other_tests(runs: Runs) -> None:
    assert comparison.tests_of(runs) == ["LFW", "CFP-FP", "AgeDB-30"]
    assert comparison.measures(runs) == ["AgeDB-30", "LFW", "CFP-FP", "templates TAR@FAR=0.001", "identification rank-1"]


@pytest.mark.parametrize(
    ("measure", "test", "title"),
    [
        ("CFP-FP", "CFP-FP", "CFP-FP"),
        ("templates TAR@FAR=1e-05", "templates", "templates, TAR at FAR 1e-5"),
        ("IJB-C TAR@FAR=0.0001", "IJB-C", "IJB-C, TAR at FAR 1e-4"),
        ("MegaFace(R) rank-1", "MegaFace(R)", "MegaFace(R), rank 1"),
    ],
)
def test_names(measure: str, test: str, title: str) -> None:
    assert (comparison.test_of(measure), comparison.title(measure)) == (test, title)


@pytest.mark.parametrize("suffix", ["", *comparison.VARIANTS])
@pytest.mark.parametrize("half", ["first", "second"])
def test_recorded_counts_of_a_split_are_those_of_the_data(
    half: str, suffix: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = comparison.split_counts(half, shared, suffix)
    assert counted == comparison.split_counts(half, tmp_path, suffix), "a folder without protocols"
    monkeypatch.delenv("MARGINFACE_DATA")
    assert counted == comparison.split_counts(half, suffix=suffix)


def test_who_is_trained_on_without_any_data(no_data: None) -> None:
    (told,) = comparison.split_of("lfw+cfp/first/64")
    assert told.startswith("The first half has 936 people with 6,408 images. 36 people of LFW and 51 of CFP were left out")
    assert comparison.split_of("lfw+cfp/first/64/cfp") == [told, "Of CFP's images alone it has 199 people with 2,786 images."]
    (told,) = comparison.split_of("glyphs/1000/32")
    assert "1,000 Chinese characters in up to 73 typefaces" in told
    assert "14 typefaces of other families" in told
    assert "in drawings that no test shows" in comparison.split_of("glyphs/1000/32/overlap")[1]
    assert comparison.split_of("synthetic/4x2/32") == ["`synthetic/4x2/32` is no half of LFW and CFP."]
