"""The halves of LFW and CFP: nobody is on both sides."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginface.data import align, faces
from marginface.data.catalog import load
from marginface.data.faces import half_split
from marginface.data.files import read_lines
from marginface.data.images import encode_image
from marginface.data.types import AllPairsTest, DataMissingError, FaceData, IdentificationTest, ImageData, TemplateTest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("pooch.os_cache", lambda project: str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("half", "people", "images", "counts", "strangers"),
    [("first", 936, 6408, (879, 4058), 164), ("second", 1018, 7227, (801, 4056), 160)],
)
def test_nobody_is_trained_and_tested(
    half: str, people: int, images: int, counts: tuple[int, int], strangers: int, shared: Path
) -> None:
    split = half_split(shared, half)
    assert (len(split.people), sum(map(len, split.people.values()))) == (people, images)
    assert {name: len(pairs) for name, pairs in split.tests.items()} == {"LFW": 3000, "CFP-FF": 3500, "CFP-FP": 3500}
    assert {int(fold) for pairs in split.tests.values() for fold in pairs.fold} == set(
        range(5, 10) if half == "first" else range(5)
    )

    def person(image: str) -> str:
        return image.split("/")[1]

    overlap = dict(line.split("\t") for line in read_lines(shared / "protocols" / "cfp_lfw_name_overlap.tsv"))
    cfp_names = read_lines(shared / "cfp" / "Data" / "list_name.txt")
    known_as = {f"{i:03d}": overlap[name] for i, name in enumerate(cfp_names, 1) if name in overlap}
    trained = {person(image) for names in split.people.values() for image in names}
    tested = {person(image) for pairs in split.tests.values() for image in pairs.names}
    every_name = [{known_as.get(p, p) for p in side} for side in (trained, tested)]
    assert not every_name[0] & every_name[1]
    unknown = [*split.distractors, *split.strangers, *(image for names in split.probes.values() for image in names)]
    assert not {person(image) for image in unknown} & every_name[0]
    looked_for = {known_as.get(p, p) for names in split.probes.values() for p in map(person, names)}
    assert not {known_as.get(p, p) for p in map(person, (*split.distractors, *split.strangers))} & looked_for
    assert len(split.strangers) == len(set(split.strangers)) == 14 * strangers
    assert not set(split.distractors) & {image for names in split.probes.values() for image in names}
    assert {len(names) for names in split.probes.values()} == set(range(2, 11))
    assert (len(split.probes), len(split.distractors)) == counts


@pytest.mark.parametrize("half", ["first", "second"])
def test_choices_are_made_on_people_of_the_training_half(half: str, shared: Path) -> None:
    """Nobody of the tested half has a part in them, and whoever they are made on is not trained on."""
    whole, part = half_split(shared, half), half_split(shared, half, choice=True)
    last = 4 if half == "first" else 9
    assert {int(fold) for pairs in part.tests.values() for fold in pairs.fold} == {last}
    trained = {image for names in part.people.values() for image in names}
    assert trained < {image for names in whole.people.values() for image in names}
    tested = {image for names in faces._everybody(part).values() for image in names}
    assert not {image.split("/")[1] for image in tested} & {image.split("/")[1] for image in trained}
    assert not tested & {image for names in faces._everybody(whole).values() for image in names}


@pytest.mark.parametrize("half", ["first", "second"])
def test_overlap_trains_on_people_who_are_looked_for_in_images_that_no_test_shows(half: str, shared: Path) -> None:
    plain, overlap = half_split(shared, half), half_split(shared, half, overlap=True)
    assert {name: images for name, images in overlap.people.items() if name in plain.people} == plain.people
    added = {name: images for name, images in overlap.people.items() if name not in plain.people}
    assert len(added) > 50
    assert set(added) <= set(overlap.probes)
    assert max(map(len, added.values())) <= 10
    used = {image for names in (*overlap.probes.values(), *faces._everybody(overlap).values()) for image in names}
    used |= {image for pairs in overlap.tests.values() for image in pairs.names}
    assert not used & {image for images in added.values() for image in images}
    assert (overlap.probes, overlap.distractors, overlap.strangers) == (plain.probes, plain.distractors, plain.strangers)


@pytest.mark.parametrize("half", ["first", "second"])
def test_the_images_of_one_set_alone_and_the_same_tests(half: str, shared: Path) -> None:
    whole, *parts = (half_split(shared, half, only=only) for only in ("", "lfw", "cfp"))
    images = [sorted(image for own in split.people.values() for image in own) for split in (whole, *parts)]
    assert sorted(images[1] + images[2]) == images[0]
    assert [{image[:4] for image in own} for own in images[1:]] == [{"lfw/"}, {"cfp/"}]
    assert min(len(own) for split in parts for own in split.people.values()) >= 2
    for part in parts:
        assert (part.probes, part.distractors, part.strangers) == (whole.probes, whole.distractors, whole.strangers)
        assert {name: pairs.names for name, pairs in part.tests.items()} == {n: pairs.names for n, pairs in whole.tests.items()}


@pytest.mark.parametrize("half", ["first", "second"])
def test_all_pairs_are_of_the_people_who_are_tested(half: str, shared: Path) -> None:
    split = half_split(shared, half)
    everybody = faces._everybody(split)
    assert {name: len(images) for name, images in everybody.items() if name != "LFW"} == {"CFP-FF": 2500, "CFP-FP": 3500}
    assert {name.split("/")[1] for name in everybody["LFW"]} == set(split.probes)
    assert not {name for names in split.people.values() for name in names} & {n for names in everybody.values() for n in names}
    assert set(split.tests["CFP-FP"].names) <= set(everybody["CFP-FP"])


def test_someone_in_both_sets_is_one_person(shared: Path) -> None:
    both = [names for names in half_split(shared).people.values() if {name[:3] for name in names} == {"lfw", "cfp"}]
    assert len(both) > 10
    assert all(len(set(names)) == len(names) for names in both)


@pytest.mark.slow
def test_the_data_set_by_name_and_from_the_cache(shared: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = half_split(shared)
    kept = dict(list(some.people.items())[:4])
    tests = {name: pairs.select(np.arange(8)) for name, pairs in some.tests.items()}
    probes, distractors = dict(list(some.probes.items())[:3]), some.distractors[:5]
    monkeypatch.setattr(faces, "half_split", lambda root, half, **variant: faces.Split(kept, tests, probes, distractors, {}))
    people = faces.lfw_people(shared / "protocols" / "lfw_people.txt")
    named = [*kept.values(), *probes.values(), distractors, *(pairs.names for pairs in tests.values())]
    needed = {image.split("/")[1] for names in named for image in names}
    monkeypatch.setattr(faces, "lfw_people", lambda path: {name: v for name, v in people.items() if name in needed})
    first = load("lfw+cfp/first/32", shared)
    assert isinstance(first, FaceData)
    assert (first.num_classes, first.image_shape, len(first.tests)) == (4, (1, 32, 32), 12)
    templates, identification = first.tests["templates"], first.tests["identification"]
    assert isinstance(templates, TemplateTest)
    assert isinstance(identification, IdentificationTest)
    assert (len(templates.same), templates.same.sum(), len(set(templates.template))) == (9, 3, 6)
    numbers = np.unique(templates.template[np.isin(templates.place, identification.probes[identification.people == 1])])
    assert numbers.tolist() == [2, 3]
    assert len(identification.distractors) == 5
    planted = first.tests["planted identification"]
    assert isinstance(planted, IdentificationTest)
    assert set(planted.distractors[:5]) == set(identification.distractors)
    everybody = {name: test for name, test in first.tests.items() if isinstance(test, AllPairsTest)}
    assert list(everybody) == ["LFW all pairs", "CFP-FF all pairs", "CFP-FP all pairs"]
    assert sorted(np.bincount(everybody["LFW all pairs"].people)) == sorted(map(len, probes.values()))
    frontal, both = everybody["CFP-FF all pairs"], everybody["CFP-FP all pairs"]
    assert set(np.bincount(frontal.people)) == {10}
    assert set(np.bincount(both.people)) == {14}
    assert frontal.kind is None
    assert both.kind is not None
    assert np.bincount(both.kind).tolist() == [10 * len(set(both.people)), 4 * len(set(both.people))]
    image, label = first.train[len(first.train) - 1]  # type: ignore[arg-type]
    assert (tuple(image.shape), int(label)) == ((1, 32, 32), 3)
    assert len(list((cache / "faces").iterdir())) == 2
    chosen = load("lfw+cfp/first/32/choice", shared)
    assert isinstance(chosen, FaceData)
    assert list(chosen.tests) == list(everybody)
    monkeypatch.setattr(faces, "read_image", None)  # everything comes from the cache now
    assert load("lfw+cfp/first/32", shared).fingerprint == first.fingerprint


def test_the_people_with_most_images(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All have as many as the third, and every second of these is to train on; from the first 400 people alone."""
    people = dict(list(faces.lfw_people(shared / "protocols" / "lfw_people.txt").items())[:400])
    most = sorted(people, key=lambda name: -people[name][1])[:3]
    monkeypatch.setattr(faces, "lfw_people", lambda path: people)
    data = load("lfw/3/32", shared)
    assert isinstance(data, ImageData)
    each = people[most[2]][1]
    assert (data.num_classes, data.image_shape) == (3, (1, 32, 32))
    assert data.train_labels.tolist() == np.repeat(range(3), -(-each // 2)).tolist()
    assert data.test_labels.tolist() == np.repeat(range(3), each // 2).tolist()
    aligned = faces.lfw(shared, 32)
    shown = aligned.images[aligned.find((f"{most[1]}/{most[1]}_0003.jpg",))[0]]
    np.testing.assert_array_equal(data.train_images[-(-each // 2) + 1], shown)


def test_what_is_wrong_is_named(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half='third'"):
        half_split(shared, "third")
    with pytest.raises(DataMissingError, match=r"lfw_people\.txt"):
        half_split(tmp_path)
    with pytest.raises(DataMissingError, match=r"nobody/nobody_0001\.jpg"):
        faces.Faces(np.zeros((1, 1, 8, 8), np.uint8), ("somebody",)).find(("nobody/nobody_0001.jpg",))


def test_aligning_says_how_far_it_is(tmp_path: Path, everything_is_told: None, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{i}.png" for i in range(3)]
    for name in names:
        (tmp_path / name).write_bytes(encode_image(np.full((250, 250, 3), 99, np.uint8)))

    def read() -> faces.Faces:
        return faces._aligned("some", tmp_path, names, lambda name: align.LFW_A, 64, grey=True)

    assert read().images.shape == (3, 1, 64, 64)
    told = capsys.readouterr().err
    assert "looking at some: 3 of 3" in told
    assert "aligning some: 3 of 3" in told
    read()
    assert "aligning" not in capsys.readouterr().err, "they are kept"


def test_a_crop_is_kept_as_long_as_nothing_changes_that_it_follows_from(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned, folder = 0, tmp_path / "set"

    def counting(*arguments: Any) -> np.ndarray:
        nonlocal aligned
        aligned += 1
        return whole(*arguments)

    def mean(value: int, changed: int, landmarks: np.ndarray = align.LFW_A, size: int = 64) -> float:
        (folder / "1.pgm").write_bytes(b"P5\n250 250\n255\n" + bytes([value]) * 250**2)  # as many bytes for each value
        os.utime(folder / "1.pgm", ns=(changed, changed))
        return float(faces._aligned("some", folder, ["1.pgm"], lambda name: landmarks, size, grey=True).images.mean())

    folder.mkdir()
    whole = align.align
    monkeypatch.setattr("marginface.data.align.align", counting)
    assert (mean(10, 1), aligned) == (10, 1)
    assert (mean(10, 1), aligned) == (10, 1)
    assert (mean(200, 2), aligned) == (200, 2)
    assert mean(200, 2, align.LFW_A + 120) < 200
    assert mean(200, 2, size=32) == 200
    assert aligned == 4
    assert mean(200, 2, align.LFW_A + 120) < 200
    assert aligned == 4
