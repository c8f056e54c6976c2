"""What a folder of people says of a network."""

import numpy as np
import pytest

from marginface.evaluation import people, reports
from marginface.evaluation.people import drawn_people, open_set_tpir, pair_scores, people_report, rank_shares

NUMBERS = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "RESAMPLES", 20)


def embedded(people: int, each: int, noise: float, dim: int = 16) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(1)
    who = np.repeat(np.arange(people), each)
    vectors = numbers.normal(size=(people, dim))[who] + noise * numbers.normal(size=(people * each, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), who


def test_people_who_are_told_apart_easily() -> None:
    vectors, who = embedded(20, 4, 0.05)
    found = people_report(vectors, who)
    assert (found.images, found.people, found.failed) == (80, 20, 0)
    assert found.pairs.auc.value == 1
    assert found.templates is not None
    assert (found.templates.genuine, found.templates.impostors) == (20, 380)
    assert found.ranks == {1: 1.0, 5: 1.0}
    assert found.searches == {0.1: 1.0}


def test_templates_are_easier_than_images_and_ranks_rise() -> None:
    vectors, who = embedded(20, 6, 1.2)
    found = people_report(vectors, who)
    assert found.templates is not None
    assert found.pairs.auc.value < found.templates.auc.value < 1
    assert found.ranks[1] < found.ranks[5] < 1


def test_of_too_many_people_some_are_drawn_the_same_for_both_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "MOST_PAIRS", 400)
    who = np.repeat(np.arange(60), np.where(np.arange(60) % 3, 1, 2))  # every third has two images, 20 in all
    vectors = embedded(80, 1, 0.0)[0]
    few = people_report(vectors[who < 15], who[who < 15]).templates
    assert few is not None
    assert (few.genuine, few.impostors, few.sampled) == (5, 15 * 5 - 5, False)
    many = people_report(vectors, who).templates
    assert many is not None
    assert (many.genuine, many.impostors, many.sampled) == (20, 380, True)


def test_people_are_drawn_evenly() -> None:
    everybody = np.arange(0, 120, 2)
    for with_two, sizes in ((everybody, (20, 20)), (everybody[::3], (20, 20)), (everybody[::6], (40, 10))):
        often = np.zeros(120)
        for seed in range(300):
            even, odd = drawn_people(everybody, with_two, 400, seed)
            assert (len(even), len(odd)) == sizes
            assert set(odd) <= set(even) & set(with_two)
            often[even] += 1
        others = often[np.setdiff1d(everybody, with_two)] if len(with_two) < 60 else often[everybody]
        share = others.mean() / 300
        assert np.abs(others / 300 - share).max() <= 5 * (share * (1 - share) / 300) ** 0.5, "neither first nor last"
    assert drawn_people(everybody, everybody[:2], 400)[0] is everybody


def test_ranks_by_hand() -> None:
    """Two of three images are nearest to their own person's first."""
    vectors = np.array([[1, 0], [0, 1], [0.9, 0.1], [0.2, 0.8], [0.9, 0.2]], dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert rank_shares(vectors, np.array([0, 1, 0, 1, 1]), (1, 2)) == {1: pytest.approx(2 / 3), 2: 1.0}


def test_what_failed_matches_nobody_and_is_counted() -> None:
    vectors, who = embedded(20, 4, 0.05)
    vectors[[0, 5]] = 0  # the first of a person, whom nobody finds then, and another one
    found = people_report(vectors, who)
    assert found.failed == 2
    assert found.pairs.failed == 2 * 79 - 1
    assert found.ranks[1] == (60 - 3 - 1) / 60
    assert found.pairs.points[0].tar.value == pytest.approx(1 - 6 / 120)
    scores = pair_scores(vectors, np.array([0, 1]), np.array([5, 2]))
    assert scores[0] == -1
    assert scores[1] > 0.9


def test_open_set_galleries_are_kept_apart() -> None:
    """A stranger who looks like somebody enrolled is found where FPIR allows it, and only there."""
    vectors, who = embedded(20, 4, 0.05)
    assert open_set_tpir(vectors, who, (0.1,)) == {0.1: 1.0}
    vectors[4 * 1 + 1] = vectors[0]  # an image to be looked for, of a person in the other gallery
    assert open_set_tpir(vectors, who, (0.1,))[0.1] == pytest.approx(0.975)
    assert open_set_tpir(vectors, who, (0.05, 0.001)).keys() == {0.05}


def test_two_people_and_two_images_are_needed() -> None:
    vectors, who = embedded(2, 1, 0.1)
    with pytest.raises(ValueError, match="need two people and two images of one of them, not 2 with 1"):
        people_report(vectors, who)


@pytest.mark.parametrize("who", [[0, 0, 1], [0, 0, 0, 1, 1, 1], [0, 1, 1], [0, 0, 1, 1], [0, 0, *range(1, 11)]])
def test_a_small_folder_is_judged_as_far_as_it_goes(who: list[int]) -> None:
    vectors = embedded(len(who), 1, 0.0)[0]
    for failed in range(len(who) + 1):
        vectors[:failed] = 0
        found = people_report(vectors, np.array(who))
        assert found.failed == failed
        assert found.pairs.accuracy is None
        assert "fold 0" in found.pairs.no_accuracy
        assert 0 <= found.pairs.auc.value <= 1
