"""ArcFace Table 8: sizes that are the networks' own, speeds that were measured, and the claims that stand on them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from marginface.backbones import create, multiply_adds, size_mb
from marginface.book import plots
from marginface.book.papers.arcface import table8
from marginface.book.papers.arcface.table8 import NETWORKS, TABLE8
from marginface.training import Run


@pytest.mark.parametrize("name", ["LResNet50E-IR", "LResNet101(Bottle Neck)-IR", "LMobileNetE", "LDPN92E"])
def test_the_kept_sizes_are_the_networks_own(name: str) -> None:
    with torch.device("meta"):
        network = create(NETWORKS[name], embedding_dim=512)
    kept = table8.measured().loc[name]
    assert kept.parameters == sum(p.numel() for p in network.parameters())
    assert kept.size_mb == pytest.approx(size_mb(network), abs=0.05)


def test_all_ten_networks_stand_beside_the_printed_ones() -> None:
    table = table8.table().set_index("network")
    assert list(table.index) == list(NETWORKS)
    assert table.loc["LMobileNetE", "MB, printed"] == "112"
    assert (table8.measured().ms > 0).all()
    assert "one image at a time" in table8.machine()
    assert sorted(int(cell.split("(")[1][:-1]) for cell in table["ms, measured"]) == list(range(1, 11))


def test_orders_are_compared_by_rank() -> None:
    one = pd.Series([1.0, 2, 30, 4])
    assert table8.agreement(one, one**3) == pytest.approx(1)
    assert table8.agreement(one, -one) == pytest.approx(-1)


def test_the_claims_follow_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {claim.text[:20]: claim.holds for claim in table8.table8_claims(TABLE8.ask().settings) if claim.kind == "claim"}
    assert words["the printed sizes ar"]
    assert words["MobileNet is the fas"]
    other = table8.measured().copy()
    other["ms"] = other.ms.to_numpy()[::-1]
    other["size_mb"] = 1.1 * other.size_mb
    other.loc["LIception-ResNet-v2", ["size_mb", "ms"]] = 1.0
    monkeypatch.setattr(table8, "measured", lambda: other)
    after = {claim.text[:20]: claim.holds for claim in table8.table8_claims(TABLE8.ask().settings) if claim.kind == "claim"}
    assert not any(after.values())
    assert table8._ahead(other) == ["LIception-ResNet-v2"]


def test_the_figure_has_a_mark_for_each() -> None:
    figure = plots.sizes_and_speeds(table8.measured(), table8.printed(table8.SIZE), table8.printed(table8.SPEED))
    assert len(figure.axes[1].lines) == 10
    assert np.isfinite(figure.axes[1].dataLim.bounds).all()


def test_the_families_cost_about_as_much_and_are_of_the_printed_networks() -> None:
    costs = [multiply_adds(small, embedding_dim=128, image_shape=(1, 32, 32)) for small, _ in table8.FAMILIES.values()]
    assert max(costs) / min(costs) < 1.5
    assert {large for _, large in table8.FAMILIES.values()} <= set(NETWORKS)
    assert list(TABLE8.ask("paper").rows) == list(NETWORKS)


def test_accuracies_count_beside_sizes_and_speeds() -> None:
    asked = TABLE8.ask()
    metrics = {"LFW": 0.9, "CFP-FF": 0.8, "CFP-FP": 0.7}
    runs = {name: [Run(row.recipe, metrics, {}, {}, "made up", "", {})] for name, row in asked.rows.items()}
    results = replace(asked, runs=runs)
    assert {claim.measures for claim in table8.claims(results)} == {("CFP-FP",)}
    pairs = {(claim.row, claim.over) for claim in table8.claims(results)}
    assert ("LInception-ResNet-v2", "LResNetE-IR") in pairs
    assert ("LResNetE-IR", "LMobileNetE") in pairs
    assert len(pairs) == len(table8.FAMILIES)
    assert all(claim.printed is None or claim.printed < 0 for claim in table8.claims(results))
