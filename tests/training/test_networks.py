"""Networks that say what they are, from checkpoints and from what was exported of them; thresholds; enrolment."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import draw_people

from marginface.data import own
from marginface.data.align import TEMPLATE
from marginface.data.images import encode_image
from marginface.margins import NormFace
from marginface.training import checkpoints, enrolment, exporting, thresholds, train
from marginface.training.enrolment import compare_people, enrol
from marginface.training.networks import Card, Network, OnnxBackbone, load_network
from marginface.training.recipes import Recipe
from marginface.training.testing import embed

RECIPE = Recipe(
    NormFace(8), data="photographs", backbone="LResNet10E-IR-w16", embedding_dim=8, batch_size=16, normalisation="whitened"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, trained for a few steps, and beside it a folder of other people."""
    root = tmp_path_factory.mktemp("network")
    data = own.load(draw_people(root / "people", 12, 6), validate=0)
    train(replace(RECIPE, average=0.5), replace(data, crop="insightface"), out=root, max_steps=6, progress=False)
    draw_people(root / "others", 8, 5, seed=5)
    return root / "checkpoint.pt"


@pytest.fixture
def network(trained: Path, tmp_path: Path) -> Network:
    """The network in a folder of its own, where thresholds may be kept."""
    (tmp_path / "net.pt").write_bytes(trained.read_bytes())
    return load_network(tmp_path / "net.pt", "cpu")


PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 16), dtype=np.uint8)


def test_a_checkpoint_is_a_network_with_its_card(trained: Path) -> None:
    network = load_network(trained, "cpu")
    card = network.card
    assert (card.backbone, card.embedding_dim, card.image_shape) == ("LResNet10E-IR-w16", 8, (3, 16, 16))
    assert (card.normalisation, card.colours, card.crop, card.mirrored) == ("whitened", "RGB", "insightface", True)
    assert card.classes[0] == "person 1"
    assert Recipe.from_json(card.recipe) == replace(RECIPE, average=0.5)
    assert Card.from_json(card.to_json(), "it") == card
    expected = embed(network.backbone, torch.from_numpy(PIXELS), "whitened", mirrored=True)
    np.testing.assert_allclose(network.embed(PIXELS), torch.nn.functional.normalize(expected).numpy(), atol=1e-6)
    kept = checkpoints.read(trained).average
    assert kept is not None
    for name, value in network.backbone.state_dict().items():
        assert torch.equal(value, kept[f"module.{name}"]), "the moving average is what counts"
    with pytest.raises(ValueError, match="takes images of 3 × 16 × 16, not 3 × 8 × 8"):
        network.embed(PIXELS[:, :, :8, :8])


def test_images_become_the_networks_own(trained: Path) -> None:
    network = load_network(trained, "cpu")
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert network.prepare(image).shape == (3, 16, 16)
    np.testing.assert_array_equal(network.prepare(image[:16, :16]), image[:16, :16].transpose(2, 0, 1))
    grey = replace(network, card=replace(network.card, image_shape=(1, 16, 16), colours="grey"))
    planes = grey.prepare(image[:16, :16])
    assert planes.shape == (1, 16, 16)
    np.testing.assert_allclose(planes[0], image[:16, :16] @ (0.299, 0.587, 0.114), atol=0.51)


def test_images_of_a_network_need_not_be_squares(trained: Path) -> None:
    network = load_network(trained, "cpu")
    flat = replace(network, card=replace(network.card, image_shape=(3, 28, 24)))
    image = np.random.default_rng(0).integers(0, 256, (56, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(flat.prepare(image[:28, :24]), image[:28, :24].transpose(2, 0, 1))
    halved = image.reshape(28, 2, 24, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    np.testing.assert_allclose(flat.prepare(image), halved, atol=0.51)
    landmarks = TEMPLATE / 112 * 28
    assert flat.prepare(image, landmarks).shape == (3, 28, 24)
    grey = replace(flat, card=replace(flat.card, image_shape=(1, 28, 24), colours="grey"))
    assert grey.prepare(image).shape == grey.prepare(image, landmarks).shape == (1, 28, 24)


def test_what_is_no_network_is_named(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"net\.doc: expected a checkpoint or an exported network"):
        load_network(tmp_path / "net.doc")
    with pytest.raises(ValueError, match=r"net\.pt: there is no such file"):
        load_network(tmp_path / "net.pt")
    found = checkpoints.read(trained)
    wrong: dict[str, dict[str, Any]] = {
        "it does not say what its images have to be": {"about": {}},
        "what it says of itself is damaged .KeyError: 'label'": {
            "about": {k: v for k, v in found.about.items() if k != "label"}
        },
        "image_shape=.3, 16. makes no sense": {"about": found.about | {"image_shape": [3, 16]}},
        "crop='mine' makes no sense": {"about": found.about | {"crop": "mine"}},
        "its weights are not those of LResNet18E-IR-w16": {"recipe": found.recipe | {"backbone": "LResNet18E-IR-w16"}},
    }
    for message, change in wrong.items():
        checkpoints.save(replace(found, **change), tmp_path / "net.pt")
        with pytest.raises(ValueError, match=message):
            load_network(tmp_path / "net.pt")
    for ending, message in ((".safetensors", "not a whole .safetensors file"), (".onnx", "not a whole ONNX file")):
        pytest.importorskip(ending[1:])
        (tmp_path / f"net{ending}").write_bytes(b"damaged")
        with pytest.raises(ValueError, match=message):
            load_network(tmp_path / f"net{ending}")


def test_safetensors_hold_the_same_network(network: Network, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    keep_a_threshold(network)
    exporting.to_safetensors(network, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors", "cpu")
    np.testing.assert_array_equal(again.embed(PIXELS), network.embed(PIXELS))
    assert replace(again.card, thresholds=()) == network.card
    assert thresholds.read(again) == thresholds.read(network) != []
    safetensors.save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="it does not say what its images have to be: `marginface export`"):
        load_network(tmp_path / "other.safetensors")
    for card in ("{}", "[]", json.dumps(json.loads(network.card.to_json()) | {"normalisation": "mine"})):
        safetensors.save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors", {"marginface": card})
        with pytest.raises(ValueError, match="its card is damaged"):
            load_network(tmp_path / "other.safetensors")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the exporter, about itself
def test_onnx_normalises_by_itself_and_takes_any_number_of_images(network: Network, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    keep_a_threshold(network)
    worst = exporting.to_onnx(network, tmp_path / "net.onnx")
    assert worst < 1e-5
    again = load_network(tmp_path / "net.onnx")
    np.testing.assert_allclose(again.embed(PIXELS), network.embed(PIXELS), atol=1e-5)
    assert replace(again.card, thresholds=()) == network.card
    assert thresholds.read(again) == thresholds.read(network)
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"))  # as somebody would who has nothing but the file
    for count in (1, 4):
        (found,) = session.run(["embeddings"], {"images": PIXELS[:count]})
        expected = embed(network.backbone, torch.from_numpy(PIXELS[:count]), "whitened").numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert "3 × 16 × 16 uint8, RGB" in session.get_modelmeta().description + exporting.in_words(again.card)
    with torch.no_grad():
        next(iter(network.backbone.parameters())).add_(1.0)
    assert exporting.difference(network, again) > 1e-3


@pytest.mark.parametrize("export", [exporting.to_safetensors, exporting.to_onnx])
def test_an_onnx_file_is_not_exported_again(
    export: Callable[[Network, Path], object], network: Network, tmp_path: Path
) -> None:
    """It would be a file without weights, since these are in the session."""
    session = SimpleNamespace(get_inputs=lambda: [SimpleNamespace(name="images")])
    exported = Network(OnnxBackbone(session), network.card, tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"net\.onnx: an ONNX file is not exported again"):
        export(exported, tmp_path / "again")
    assert not (tmp_path / "again").exists()


DAMAGED: list[object] = [[{"far": 0.1}], [{}], [5], 5, [{"far": 0.1, "score": 0.2, "curve": [[10**400, 1]]}]]


def keep_a_threshold(network: Network, far: float = 0.1) -> thresholds.Threshold:
    others = network.path.parent / "others"
    if not others.exists():
        draw_people(others, 8, 5, seed=5)
    found = thresholds.find(compare_people(network, others)[0], far)
    thresholds.keep(network, found)
    return found


def test_a_threshold_is_kept_and_belongs_to_its_weights(network: Network, trained: Path) -> None:
    found = keep_a_threshold(network)
    compared = compare_people(network, network.path.parent / "others")[0]
    impostors = compared.scores[~compared.same]
    assert (impostors >= found.score).mean() <= 0.1 < (impostors >= found.score - 1e-6).mean() + 1 / len(impostors)
    assert found.low <= found.score <= found.high
    assert (found.people, found.impostors) == (8, 28 * 25)
    keep_a_threshold(network, 0.2)
    keep_a_threshold(network)
    assert [each.far for each in thresholds.read(network)] == [0.2, 0.1]
    assert thresholds.choose(network) == found
    chosen = thresholds.choose(network, 0.2)
    assert chosen is not None
    assert chosen.score < found.score
    with pytest.raises(ValueError, match=r"no threshold is kept for FAR 0\.5; there are 0\.2, 0\.1"):
        thresholds.choose(network, 0.5)
    others = checkpoints.read(trained)
    others.average = {name: value + 1 if name.endswith("weight") else value for name, value in (others.average or {}).items()}
    checkpoints.save(others, network.path)
    assert thresholds.stale(load_network(network.path))
    assert thresholds.read(load_network(network.path)) == []


def test_a_score_has_a_far(network: Network) -> None:
    found = keep_a_threshold(network)
    assert found.far_of(found.score)[0] == pytest.approx(0.1, rel=0.1)
    assert found.far_of(1.1) == (1 / found.impostors, True)
    assert found.far_of(-1.0) == (1.0, False)


def test_too_few_pairs_for_a_far_are_an_error(network: Network) -> None:
    with pytest.raises(ValueError, match=r"FAR 0\.001 takes 1,000 impostor pairs to mean anything, and others has 700"):
        keep_a_threshold(network, 1e-3)
    for wrong in ("{}", "no JSON", *(json.dumps({"fingerprint": network.card.fingerprint, "thresholds": t}) for t in DAMAGED)):
        thresholds.beside(network.path).write_text(wrong)
        with pytest.raises(ValueError, match=r"net\.thresholds\.json"):
            thresholds.read(network)


def test_enrolments_that_fail_are_counted_and_are_no_error(network: Network, tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "faces", 2, 3)
    (folder / "person 1" / "2.png").write_bytes(b"damaged")
    paths = [folder / f"person {i}" / f"{k}.png" for i in (1, 2) for k in (1, 2, 3)]
    found = enrol(network, paths)
    assert list(found.failures) == [1]
    assert "2.png" in found.failures[1]
    assert not found.embeddings[1].any()
    np.testing.assert_allclose(np.linalg.norm(found.embeddings[[0, 2, 3]], axis=1), 1, atol=1e-5)
    compared = compare_people(network, folder)[0]
    assert compared.failed.sum() == 5
    assert (compared.scores[compared.failed] == -1).all()


def test_pictures_in_which_there_is_nobody(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment, "detect", lambda image: [])
    (tmp_path / "wall.png").write_bytes(encode_image(np.zeros((16, 16, 3), np.uint8)))
    with pytest.raises(enrolment.NoFaceError, match=r"wall\.png: there is no face in it"):
        enrolment.verify(network, tmp_path / "wall.png", tmp_path / "wall.png")
    assert list(enrol(network, [tmp_path / "wall.png"], find=True).failures) == [0]
    same = enrolment.verify(network, tmp_path / "wall.png", tmp_path / "wall.png", find=False)
    assert (same.score, same.faces) == (pytest.approx(1), (None, None))
