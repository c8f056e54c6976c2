"""IJB and MegaFace in folders as InsightFace distributes them, made up and tiny."""

from pathlib import Path

import numpy as np
import pytest

from marginface.data.align import align
from marginface.data.benchmarks import FilesOfFaces, at_hand, ijb, megaface
from marginface.data.images import encode_image
from marginface.data.types import DataMissingError, IdentificationTest, TemplateTest

NUMBERS = np.random.default_rng(0)
IMAGES = NUMBERS.integers(0, 256, (6, 60, 50, 3), dtype=np.uint8)
POINTS = NUMBERS.normal([[20, 25], [32, 25], [26, 32], [21, 40], [31, 40]], 1, (6, 5, 2)).astype(np.float32)


def write_images(folder: Path, names: list[str], images: np.ndarray = IMAGES) -> None:
    for name, image in zip(names, images, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encode_image(image))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """IJB-B with three templates of one, two and three images, and MegaFace with two people and two strangers."""
    names = [f"{i}.png" for i in range(6)]
    meta = tmp_path / "IJBB" / "meta"
    write_images(tmp_path / "IJBB" / "loose_crop", names)
    meta.mkdir()
    media = [f"{name} {template} {medium}" for name, template, medium in zip(names, (1, 2, 2, 7, 7, 7), range(6), strict=True)]
    (meta / "ijbb_face_tid_mid.txt").write_text("\n".join(media))
    (meta / "ijbb_template_pair_label.txt").write_text("1 2 1\n1 7 0\n2 7 0\n")
    faces = [
        " ".join([name, *map(str, points.ravel()), f"0.{i + 1}"])
        for i, (name, points) in enumerate(zip(names, POINTS, strict=True))
    ]
    (meta / "ijbb_name_5pts_score.txt").write_text("\n".join(faces))
    pack = tmp_path / "megaface_testpack_v1.0"
    probes, strangers = ["B/B_1.png", "B/B_2.png", "A/A_1.png", "A/A_2.png"], ["1/2@N/3_0.png", "1/4@N/5_0.png"]
    for kind, inside, noise in (("facescrub", probes, "A_2.png"), ("megaface", strangers, "1/4@N/5_0.png")):
        write_images(pack / f"{kind}_images", inside)
        (pack / f"{kind}_lst").write_text("\n".join(inside))
        (pack / f"{kind}_noises.txt").write_text(f"# wrong\n{noise}\n")
    return tmp_path


def test_images_are_aligned_when_they_are_read(root: Path) -> None:
    test = ijb(root / "IJBB")
    assert len(test.images) == 6
    np.testing.assert_array_equal(test.images[1:3], [align(IMAGES[i], POINTS[i]) for i in (1, 2)])
    assert test.images[4:1000].shape == (2, 3, 112, 112)


def test_templates_pairs_and_quality(root: Path) -> None:
    test = ijb(root / "IJBB")
    assert test.template.tolist() == [1, 2, 2, 7, 7, 7]
    assert list(zip(test.left.tolist(), test.right.tolist(), test.same.tolist(), strict=True)) == [
        (1, 2, True),
        (1, 7, False),
        (2, 7, False),
    ]
    assert test.quality is not None
    assert test.quality.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_probes_strangers_and_noise(root: Path) -> None:
    test = megaface(root / "megaface_testpack_v1.0")
    assert (test.probes.tolist(), test.people.tolist(), test.distractors.tolist()) == ([0, 1, 2, 3], [1, 1, 0, 0], [4, 5])
    assert test.noise is not None
    assert test.noise.tolist() == [False, False, False, True, False, True]
    np.testing.assert_array_equal(test.images[4:5][0], IMAGES[0].transpose(2, 0, 1))


def test_those_at_hand_are_found_and_their_lists_are_in_the_fingerprint(root: Path, tmp_path: Path) -> None:
    found, before = at_hand(root)
    assert {name: type(test) for name, test in found.items()} == {"IJB-B": TemplateTest, "MegaFace": IdentificationTest}
    (root / "IJBB" / "meta" / "ijbb_template_pair_label.txt").write_text("1 2 1\n1 7 0\n")
    assert at_hand(root)[1] != before
    assert at_hand(root / "IJBB") == ({}, "")


def test_what_is_wrong_is_named(root: Path) -> None:
    points = root / "IJBB" / "meta" / "ijbb_name_5pts_score.txt"
    points.write_text("\n".join(reversed(points.read_text().splitlines())))
    with pytest.raises(ValueError, match=r"ijbb_name_5pts_score\.txt: its images are not those of ijbb_face_tid_mid"):
        ijb(root / "IJBB")
    points.unlink()
    with pytest.raises(DataMissingError, match=r"\*_name_5pts_score\.txt: expected one such file, there are 0"):
        ijb(root / "IJBB")
    write_images(root / "other", ["a.png"])
    write_images(root / "other", ["b.png"], IMAGES[:, :40])
    with pytest.raises(ValueError, match=r"b\.png: an image of 40 × 50 pixels .*, where others have 60 × 50"):
        FilesOfFaces((root / "other" / "a.png", root / "other" / "b.png"))[:]
    with pytest.raises(ValueError, match=r"b\.png: an image of 40 × 50 pixels"):
        FilesOfFaces((root / "other" / "a.png", root / "other" / "b.png"))[1:]


def test_probes_whose_paths_do_not_say_who_they_are(root: Path) -> None:
    pack = root / "megaface_testpack_v1.0"
    for flat in ("A_1.png", "/A_1.png", "A_1.png/"):
        (pack / "facescrub_lst").write_text(f"B/B_1.png\n{flat}\n")
        with pytest.raises(ValueError, match=rf"facescrub_lst: expected paths with a folder for each person, got '{flat}'"):
            megaface(pack)
