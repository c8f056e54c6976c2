"""IAM Figure 1: the shapes are those that the modules give, and the claims can fail."""

import pytest
import torch

from marginface.book.papers.iam import figure1
from marginface.book.papers.iam.figure1 import FIGURE1, SHAPE, drawn, network_of, pipeline
from marginface.book.plots.pipeline import pipeline as draw


def test_the_shapes_are_those_of_a_computed_batch() -> None:
    """Of three faces, module by module; and faces they are."""
    network = network_of()
    assert drawn(3).std(dim=(1, 2, 3)).min() > 0.1
    stages = pipeline(network, drawn(3))
    shapes: list[tuple[int, ...]] = []
    x = torch.zeros(3, *SHAPE)
    with torch.no_grad():
        for module in network.children():
            x = module(x)
            shapes += [tuple(x.shape)] if not shapes or shapes[-1] != tuple(x.shape) else []
    passed = [stage.shape for stage in stages if stage.part in ("network", "feature")]
    assert list(dict.fromkeys(passed)) == list(dict.fromkeys(shapes))
    assert sum(stage.count for stage in stages if stage.part in ("network", "feature")) == len(list(network.children()))
    assert [stage.part for stage in stages if stage.part != "network"] == ["face", "feature", "loss", "loss"]


def test_the_figure_has_a_box_for_every_stage() -> None:
    stages = pipeline(network_of(), drawn(90))
    texts = {text.get_text() for text in draw(stages).axes[0].texts}
    assert {stage.title for stage in stages} <= texts
    assert {"90 × 512", "90 × 10,575", "one number"} <= texts


def test_a_network_with_the_class_weights_inside_would_contradict_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FIGURE1.verdict().word == "reproduced"
    monkeypatch.setattr(figure1, "CLASSES", 512)  # as many as the feature has numbers: the last layer would look like one
    assert FIGURE1.verdict().word == "reproduced in part"
