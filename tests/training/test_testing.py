"""What is measured on the tests of face data, against the protocols written out pair by pair."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from marginface.data.types import (
    AllPairsTest,
    FaceData,
    IdentificationTest,
    ImageData,
    PairTest,
    RefinementTest,
    TemplateTest,
    Test,
)
from marginface.evaluation.placements import Placements
from marginface.evaluation.searches import Search
from marginface.heads import MarginHead
from marginface.margins import NormFace
from marginface.training import Recipe, train
from marginface.training.learner import Learner
from marginface.training.testing import evaluate

RECIPE = Recipe(NormFace(16), data="people", backbone="LResNet10E-IR-w16", embedding_dim=8, batch_size=16, epochs=1)

PEOPLE, EACH, STRANGERS, SIDE = 6, 4, 30, 8


@pytest.fixture
def data() -> FaceData:
    numbers = np.random.default_rng(0)
    faces = numbers.normal(128, 30, (PEOPLE, 1, 1, SIDE, SIDE)) + numbers.normal(0, 55, (PEOPLE, EACH, 1, SIDE, SIDE))
    strangers = numbers.normal(128, 60, (STRANGERS, 1, SIDE, SIDE))
    images = np.concatenate([faces.reshape(-1, 1, SIDE, SIDE), strangers]).clip(0, 255).astype(np.uint8)
    probes, person = np.arange(PEOPLE * EACH), np.repeat(np.arange(PEOPLE), EACH)
    left, right = (side.ravel() for side in np.mgrid[:PEOPLE, :PEOPLE])
    tests: dict[str, Test] = {
        "pairs": PairTest(images, probes[:-1], probes[1:], person[:-1] == person[1:], probes[:-1] % 5),
        "templates": TemplateTest(images, probes, 2 * person + probes % 2, probes, 2 * left, 2 * right + 1, left == right),
        "identification": IdentificationTest(images, probes, person, PEOPLE * EACH + np.arange(STRANGERS)),
        "all": AllPairsTest(images, person, None, probes),
        "across": AllPairsTest(images, person, probes % 2, probes),
    }
    train = TensorDataset(torch.from_numpy(images[:4]), torch.arange(4))
    return FaceData("made up", "made up", 4, (1, SIDE, SIDE), train, tests, "")


def test_every_measure_is_what_the_protocol_says(data: FaceData) -> None:
    learner = Learner(nn.Flatten(), MarginHead(SIDE * SIDE, 4, NormFace()))
    metrics, arrays = evaluate(learner, data)
    x = _directions(data)
    probes, strangers = x[: PEOPLE * EACH].reshape(PEOPLE, EACH, -1), x[PEOPLE * EACH :]
    first = [all(probe @ mate > probe @ s for s in strangers) for p in probes for probe, mate in _both_ways(p)]
    assert metrics["identification rank-1"] == pytest.approx(np.mean(first), abs=0)
    assert 0.1 < np.mean(first) < 0.9
    assert arrays["identification rank-1 correct"].tolist() == first
    highest = max(probe @ s for p in probes for probe in p for s in strangers)
    accepted = [probe @ mate > highest for p in probes for probe, mate in _both_ways(p)]
    assert metrics["identification TAR@FAR=1e-06"] == pytest.approx(np.mean(accepted), abs=0)

    sums = probes[:, 0::2].sum(axis=1), probes[:, 1::2].sum(axis=1)
    even, odd = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sums)
    scores = even @ odd.T
    impostor = scores[~np.eye(PEOPLE, dtype=bool)].max()
    assert metrics["templates TAR@FAR=0.0001"] == np.mean(scores.diagonal() > impostor)
    assert arrays["templates TAR@FAR=0.0001 correct"].tolist() == (scores.diagonal() > impostor).tolist()
    assert abs(metrics["pairs"] - arrays["pairs correct"].mean()) < 0.01  # folds of 5 and 4 pairs count alike


@pytest.mark.parametrize(("name", "across"), [("all", False), ("across", True)])
def test_all_pairs(data: FaceData, name: str, across: bool) -> None:
    """The strangers among the images are no part of the test."""
    metrics, arrays = evaluate(Learner(nn.Flatten(), MarginHead(SIDE * SIDE, 4, NormFace())), data)
    x = _directions(data)[: PEOPLE * EACH]
    pairs = [(i, j) for i in range(len(x)) for j in range(i) if not across or (i - j) % 2]
    genuine, impostor = ([x[i] @ x[j] for i, j in pairs if (i // EACH == j // EACH) is same] for same in (True, False))
    assert metrics[f"{name} AUC"] == pytest.approx(np.mean([[g > i for i in impostor] for g in genuine]), abs=1e-6)
    limit = sorted(impostor)[-1 - len(impostor) // 100]
    assert metrics[f"{name} TAR@FAR=1e-02"] == np.mean(np.array(genuine) > limit)
    assert f"{name} TAR@FAR=1e-03" not in metrics, "240 pairs cannot tell one in a thousand"
    kept = Placements.of({key.removeprefix(f"{name} "): array for key, array in arrays.items() if key.startswith(f"{name} ")})
    assert kept.genuine.tolist() == [len(genuine) / PEOPLE] * PEOPLE
    assert kept.tars[1] == metrics[f"{name} TAR@FAR=1e-02"]


class OnDisk:
    """Images that can be had by slices alone."""

    def __init__(self, images: np.ndarray) -> None:
        self.images, self.read = images, 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, part: slice, /) -> np.ndarray:
        assert isinstance(part, slice)
        self.read += len(self.images[part])
        return self.images[part]


def test_images_on_disk_are_read_once_and_give_the_same(data: FaceData) -> None:
    learner = Learner(nn.Flatten(), MarginHead(SIDE * SIDE, 4, NormFace()))
    expected, _ = evaluate(learner, data)
    images = OnDisk(data.tests["pairs"].images[:])
    tests: dict[str, Test] = {
        name: replace(test, images=images) for name, test in data.tests.items() if not isinstance(test, PairTest)
    }
    metrics, _ = evaluate(learner, replace(data, tests=tests))
    assert metrics == {name: value for name, value in expected.items() if name != "pairs"}
    assert images.read == len(images)


def test_quality_and_noise_count(data: FaceData) -> None:
    """Images of no quality are as good as absent; noise is left out of the refined protocol alone."""
    learner = Learner(nn.Flatten(), MarginHead(SIDE * SIDE, 4, NormFace()))
    templates, identification = data.tests["templates"], data.tests["identification"]
    assert isinstance(templates, TemplateTest)
    assert isinstance(identification, IdentificationTest)
    firsts = templates.place % EACH < 2  # the first image of each template
    alone = replace(
        templates, place=templates.place[firsts], template=templates.template[firsts], medium=templates.medium[firsts]
    )
    noise = np.arange(len(identification.images)) >= PEOPLE * EACH + STRANGERS // 2
    fewer = replace(identification, distractors=identification.distractors[: STRANGERS // 2])
    tests: dict[str, Test] = {
        "weighted": replace(templates, quality=firsts.astype(float)),
        "alone": alone,
        "all": replace(identification, noise=noise),
        "fewer": fewer,
    }
    metrics, arrays = evaluate(learner, replace(data, tests=tests))
    for far in ("0.001", "0.0001", "1e-05"):
        assert metrics[f"weighted TAR@FAR={far}"] == metrics[f"alone TAR@FAR={far}"]
    assert metrics["all(R) rank-1"] == metrics["fewer rank-1"] > metrics["all rank-1"]
    assert arrays["all(R) TAR@FAR=1e-06 correct"].tolist() == arrays["fewer TAR@FAR=1e-06 correct"].tolist()
    assert "alone TAR@FAR=1e-06" not in metrics, "36 pairs cannot tell one in a million"


def test_with_a_depth_curves_and_counts_by_people_are_kept(data: FaceData) -> None:
    """In place of which pairs were judged rightly; the measures are the same."""
    learner = Learner(nn.Flatten(), MarginHead(SIDE * SIDE, 4, NormFace()))
    identification = data.tests["identification"]
    assert isinstance(identification, IdentificationTest)
    noise = np.arange(len(identification.images)) >= PEOPLE * EACH + STRANGERS // 2
    tests: dict[str, Test] = {"plain": replace(identification, noise=noise)}
    tests["deep"] = replace(identification, noise=noise, depth=20)
    metrics, arrays = evaluate(learner, replace(data, tests=tests))
    for which in ("", "(R)"):
        found = Search.of({part: arrays[f"deep{which} {part}"] for part in ("people", "cmc", "roc")})
        for measure, counts in (("rank-1", found.first), ("TAR@FAR=1e-06", found.accepted)):
            assert metrics[f"deep{which} {measure}"] == metrics[f"plain{which} {measure}"]
            right = arrays[f"plain{which} {measure} correct"].reshape(PEOPLE, -1).sum(axis=1)
            assert counts.tolist() == right.tolist()
            assert f"deep{which} {measure} correct" not in arrays
        assert found.ranks.tolist() == [1, 2, 3, 4, 6, 7, 10, 13, 18]
        assert found.cmc[0] == pytest.approx(metrics[f"deep{which} rank-1"])
        assert found.tars[-1] == pytest.approx(metrics[f"deep{which} TAR@FAR=1e-06"])
        assert found.cmc[-1] > found.cmc[0]


def test_wrong_names_are_looked_for_among_the_furthest(data: FaceData) -> None:
    """As far as each image is from the mean direction of those with its name, itself included."""
    people = np.repeat(np.arange(PEOPLE), EACH)
    wrong = np.isin(np.arange(PEOPLE * EACH), [1, 10, 23])
    labels = np.where(wrong, (people + 2) % PEOPLE, people)
    test = RefinementTest(data.tests["pairs"].images, np.arange(PEOPLE * EACH), labels, wrong)
    metrics, arrays = evaluate(
        Learner(nn.Flatten(), MarginHead(SIDE * SIDE, 4, NormFace())), replace(data, tests={"names": test})
    )
    x = _directions(data)[: PEOPLE * EACH]
    centres = np.stack([x[labels == person].sum(axis=0) for person in range(PEOPLE)])
    cosine = (x * centres[labels]).sum(axis=1) / np.linalg.norm(centres, axis=1)[labels]
    furthest = np.argsort(cosine)[:3]
    assert arrays["names found correct"].tolist() == [i in furthest for i in (1, 10, 23)]
    assert metrics["names found"] == np.mean([i in furthest for i in (1, 10, 23)])
    assert metrics["names AUC"] == np.mean([[cosine[w] < right for right in cosine[~wrong]] for w in (1, 10, 23)])
    assert metrics["names AUC"] > 0.5


def _directions(data: FaceData) -> np.ndarray:
    raw = data.tests["pairs"].images[:][:, 0] / 127.5 - 1
    x = (raw + raw[:, :, ::-1]).reshape(len(raw), -1)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _both_ways(images: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(a, b) for i, a in enumerate(images) for j, b in enumerate(images) if i != j]


def test_a_test_that_cannot_be_made_is_named_before_the_first_step(people: FaceData, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is wrong with it: sizes, kinds of pairs, folds; nothing has been trained by then."""
    monkeypatch.setattr("marginface.training.trainer.Loop", lambda *arguments: pytest.fail("it was begun"))
    pairs = people.tests["pairs"]
    assert isinstance(pairs, PairTest)
    few = people.tests["pairs"].images[:4]
    numbers = np.arange(4)
    wrong: dict[str, tuple[Test, str]] = {
        "small": (replace(pairs, images=pairs.images[..., :8]), "its images are 1 × 16 × 8, and those to train on 1 × 16 × 16"),
        "alike": (replace(pairs, same=np.ones(60, dtype=bool)), "it needs genuine and impostor pairs"),
        "fold": (replace(pairs, fold=np.where(pairs.same, 0, 1)), "beside fold 0 it needs genuine and impostor pairs"),
        "templates": (
            TemplateTest(few, numbers, numbers, numbers, numbers[:2], numbers[2:], np.array([True, True])),
            "it needs genuine and impostor pairs of templates",
        ),
        "strangers": (IdentificationTest(few, numbers, numbers // 2, numbers[:0]), "two images of a person, and distractors"),
        "names": (RefinementTest(few, numbers, numbers, numbers < 0), "it needs right and wrong names"),
        "mates": (IdentificationTest(few, numbers, numbers, numbers), "two images of a person, and distractors"),
    }
    for name, (test, message) in wrong.items():
        with pytest.raises(ValueError, match=f"test '{name}': .*{message}"):
            train(RECIPE, replace(people, tests={"pairs": pairs, name: test}))


def test_testing_says_what_it_does_where_it_takes_long(
    people: FaceData, blobs: ImageData, everything_is_told: None, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = people.tests["pairs"]
    people = replace(people, tests=people.tests | {"all": AllPairsTest(pairs.images, np.arange(40) // 10)})
    train(RECIPE, people, max_steps=3)
    told = capsys.readouterr().err
    assert "training, loss" in told
    assert "testing on pairs, images: 40 of 40" in told
    assert "testing on all: 1,640 of 1,640" in told
    train(replace(RECIPE, backbone="IAM-Toy"), blobs, max_steps=1)
    assert "testing, images: 80 of 80" in capsys.readouterr().err
    eigenfaces = replace(RECIPE, backbone="Eigenfaces")
    train(eigenfaces, people)
    assert "reading images: 120 of 120" in capsys.readouterr().err
    for recipe, data in ((RECIPE, people), (replace(RECIPE, backbone="IAM-Toy"), blobs), (eigenfaces, people)):
        train(recipe, data, max_steps=1, progress=False)
        assert capsys.readouterr().err == ""
