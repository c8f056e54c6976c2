"""The page on glyphs: what it says without fonts and records, and that the recipe is on glyphs and chosen elsewhere."""

from pathlib import Path
from typing import Any

import pytest

from marginface.book import glyphs, records
from marginface.book.obtain import stand_in
from marginface.book.papers import choosing
from marginface.book.papers.choosing import Loss
from marginface.book.papers.glyphs import CANDIDATES, DECIDES, GLYPHS, MATCHED, SEEDS, SETTINGS
from marginface.data import typefaces
from marginface.data.types import DataMissingError, FaceData
from marginface.training.recipes import on_choice


def test_every_candidate_is_tested_on_the_characters_set_aside_alone() -> None:
    assert {on_choice(recipe).data for recipe in (GLYPHS, *SETTINGS)} == {"glyphs/1000/32/choice", "glyphs/600/32/choice"}
    assert all(len(set(margins)) == len(margins) for margins in CANDIDATES.values())
    assert GLYPHS.margin in CANDIDATES["ArcFace"]
    assert len({recipe.key for recipe in (GLYPHS, *SETTINGS)}) == 1 + len(SETTINGS)


def test_each_loss_has_the_best_of_its_candidates() -> None:
    """By the mean over the seeds that all recorded candidates have."""
    tried = {name: [Loss(margin) for margin in margins] for name, margins in CANDIDATES.items()}
    found = choosing.standings("glyphs", tried, SEEDS)
    assert found.keys() == CANDIDATES.keys()
    for name, errors in found.items():
        assert errors[Loss(MATCHED[name])] == min(errors.values()), name


def test_what_more_characters_cost_is_what_the_benchmark_wrote() -> None:
    table = glyphs.costs()
    assert list(table.characters) == ["1,000", "5,000", "20,000"]
    assert list(table.iloc[0][["time, of the first", "memory, of the first"]]) == ["1.00", "1.00"]
    assert "PyTorch" in glyphs.measured_on()


def test_what_was_tried_has_a_line_for_everything(runs_folder: Path) -> None:
    tried = glyphs.tried()
    assert len(tried) == sum(map(len, CANDIDATES.values())) + len(SETTINGS)
    assert {"data = glyphs/600/32", "lr = 0.05"} <= set(tried["else"])
    assert "TAR@FAR=1e-04" in DECIDES


def test_the_tables_of_typefaces_have_every_group_and_package() -> None:
    faces, listed = typefaces.typefaces(), glyphs.listed()
    assert len(listed) == len({face.group for face in faces})
    assert listed.typefaces.sum() == len(faces)
    for package in typefaces.packages(faces):
        assert listed.packages.str.contains(f"{package} ", regex=False).any()
    assert glyphs.facts()["how many"].tolist()[:2] == ["73 in 31 groups", "14 in 11 groups"]


def test_without_the_fonts_the_page_says_what_it_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typefaces, "SYSTEM", ())
    shown: list[Any] = []
    monkeypatch.setattr(glyphs, "display", shown.append)
    glyphs.sheet("人木", ("kiloji", "smiley"))
    assert "2 characters in 2 typefaces, of the packages fonts-kiloji, fonts-smiley-sans" in shown[0].data


def test_a_picture_of_what_the_fonts_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = [glyphs._plain(group) for group in ("kiloji", "smiley")]
    try:
        files = typefaces.locate(faces)
    except DataMissingError as missing:
        pytest.skip(str(missing))
    sheet = glyphs._sheet(faces, files, "人願", 32)
    assert sheet.shape == (64, 64)
    assert [bool(part.any()) for part in (sheet[:32, :32], sheet[:32, 32:], sheet[32:, :32], sheet[32:, 32:])] == [
        True,
        True,
        True,
        False,
    ]


def test_records_are_shown_without_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the data at hand is that of a record can only be said where there is any."""
    monkeypatch.setattr("pooch.os_cache", lambda project: str(tmp_path))
    monkeypatch.setattr(typefaces, "SYSTEM", ())
    assert records._fingerprint.__wrapped__(GLYPHS.data, "") is None
    (tmp_path / "glyphs").mkdir()
    assert records._fingerprint.__wrapped__(GLYPHS.data, "") is None


def test_synthetic_faces_of_the_same_size_stand_in() -> None:
    data = stand_in(GLYPHS.data)
    assert isinstance(data, FaceData)
    assert data.image_shape == (1, 32, 32)
    assert "not real ones" in data.label
