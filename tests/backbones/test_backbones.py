"""The registry, and every network's size and shapes. On the meta device: shapes and counts without numbers."""

import re
from functools import cache

import pytest
import torch
from torch import nn

from marginface import backbones
from marginface.book import published

# As printed in ArcFace Table 8, where it is not our name. The first is explained in backbones/lresnet.py.
PRINTED_AS = {"LResNeXt101E-IR": "LResNet101(Bottle Neck)-IR", "LInception-ResNet-v2": "LIception-ResNet-v2"}
TABLE_8 = [
    "LResNet50E-IR",
    "SE-LResNet50E-IR",
    "LResNet100E-IR",
    "SE-LResNet100E-IR",
    "LResNeXt101E-IR",
    "LMobileNetE",
    "LDenseNet161E",
    "LDPN92E",
    "LDPN107E",
    "LInception-ResNet-v2",
]


@cache
def on_meta(name: str, image_shape: tuple[int, int, int] | None = None) -> tuple[nn.Module, torch.Size, torch.Size]:
    """The network, the shape of its last maps and that of its embeddings, for two images."""
    shapes = []
    with torch.device("meta"):
        network = backbones.create(name, embedding_dim=512, image_shape=image_shape).eval()
        last: nn.Module = list(network.children())[-1]
        last.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
        embeddings = network(torch.empty(2, *(image_shape or backbones.input_shape(name))))
    return network, shapes[0], embeddings.shape


def count(modules: nn.Module) -> int:
    return sum(p.numel() for p in modules.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE_8)
def test_sizes_and_maps_are_those_of_arcface(name: str) -> None:
    table = published.table("arcface", 8)
    rows = table[(table["metric"] == "model_size_MB") & (table["backbone"] == PRINTED_AS.get(name, name))]
    network, maps, embeddings = on_meta(name)
    assert backbones.size_mb(network) == pytest.approx(rows["value"].item(), rel=0.015)
    assert maps[2:] == ((12, 12) if "Inception" in name else (7, 7))
    assert embeddings == (2, 512)


def test_all_of_table_8_is_there() -> None:
    printed = set(published.table("arcface", 8)["backbone"])
    assert printed == {PRINTED_AS.get(name, name) for name in TABLE_8}


def test_ordinary_bottlenecks_are_larger_than_printed() -> None:
    network, maps, _ = on_meta("LResNet101E-IR")
    assert backbones.size_mb(network) == pytest.approx(359, abs=1)
    assert maps == (2, 2048, 7, 7)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # What public implementations count, without their classifiers; each minus or plus where ours differs:
        ("ResNet18E", 11_176_512),
        ("ResNet34E", 21_284_672),
        ("ResNet101E", 42_500_160),
        ("LDenseNet161E", 26_472_000 - 96 * 3 * (49 - 9) - 2 * 2208),  # the first convolution; the last BatchNorm is in E
        ("LDPN92E", 34_979_392 - 64 * 3 * (49 - 9) - 2 * 2688),
        ("LDPN107E", 84_228_800 - 128 * 3 * (49 - 9) - 2 * 2688),
        ("LMobileNetE", 3_206_976 + 10_944),  # PReLU's slopes
        ("LInception-ResNet-v2", 54_306_464),
        ("Inception-ResNet-v1", 23_482_624 - (1792 + 2) * 512),
        ("LResNet50E-IR", 43_590_848 - (25_088 + 3) * 512 - 2 * 512),
        ("LResNet100E-IR", 65_156_160 - (25_088 + 3) * 512 - 2 * 512),
    ],
)
def test_parameters_before_the_output(name: str, parameters: int) -> None:
    network, _, _ = on_meta(name)
    assert count(network) - count(list(network.children())[-1]) == parameters


@pytest.mark.parametrize(("name", "side"), [("SE-ResNet50D", 3), ("ResNet50E-IR", 3), ("SE-LResNet50D", 7), ("LResNet34E", 7)])
def test_networks_with_and_without_l_have_the_maps_of_the_paper(name: str, side: int) -> None:
    _, maps, _ = on_meta(name)
    assert maps[2:] == (side, side)


def test_inception_resnet_v1_sees_images_of_160() -> None:
    assert backbones.input_shape("Inception-ResNet-v1") == (3, 160, 160)
    _, maps, embeddings = on_meta("Inception-ResNet-v1")
    assert (maps, embeddings) == ((2, 1792, 3, 3), (2, 512))


@pytest.mark.parametrize(("name", "decay"), [("Inception-ResNet-v1", 0.995), ("LInception-ResNet-v2-w4-d5", 0.9)])
def test_moving_averages_are_those_of_the_public_code(name: str, decay: float) -> None:
    with torch.device("meta"):
        network = backbones.create(name, embedding_dim=8)
    found = {module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)}
    assert list(found) == [pytest.approx(1 - decay)]


@pytest.mark.parametrize("name", ["LMobileNetE", "LDPN92E", "LDenseNet161E", "LInception-ResNet-v2"])
def test_other_images_fit_too(name: str) -> None:
    assert on_meta(name, (1, 33, 74))[2] == (2, 512)


@pytest.mark.parametrize(
    ("name", "least"),
    [("LResNet10E", 16), ("ResNet10E", 29), ("LMobileNetE", 16), ("Inception-ResNet-v1", 75)],
)
def test_the_smallest_image_works_and_a_smaller_one_is_refused(name: str, least: int) -> None:
    assert min(on_meta(name, (3, least, least))[1][2:]) == 1
    with pytest.raises(ValueError, match=f"sides of at least {least}"):
        backbones.create(name, embedding_dim=8, image_shape=(3, least, least - 1))


def test_names_are_sorted_unique_and_known() -> None:
    names = backbones.names()
    assert names == sorted(set(names))
    assert {backbones.input_shape(name)[0] for name in names} == {1, 3}
    assert {"IAM-Toy", "SE-LResNet50E-IR", "ResNet34A", "LResNet101C", "LResNet10E-IR", "Inception-ResNet-v1"} <= set(names)
    assert backbones.input_shape("LResNet10E-IR-w16") == (3, 112, 112)


@pytest.mark.parametrize(
    "name", ["LResNet51E-IR", "lresnet50e-ir", "LResNet50F", "LResNet50E-IR-w", "LResNet50E-IR ", "", "ResNeXt50E"]
)
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown backbone {re.escape(repr(name))}; known: Eigenfaces, IAM-Toy, "):
        backbones.create(name, embedding_dim=512)
    with pytest.raises(ValueError, match="unknown backbone"):
        backbones.input_shape(name)


@pytest.mark.parametrize("shape", [(112, 112), (0, 112, 112), (3, 15, 112), (3, 112, 0), (1, 3, 112, 112)])
def test_impossible_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"image_shape is {shape}: must be (channels, height, width)")):
        backbones.create("LResNet10E-IR", embedding_dim=8, image_shape=shape)  # type: ignore[arg-type]


def test_an_impossible_embedding_is_refused() -> None:
    with pytest.raises(ValueError, match="embedding_dim is 0"):
        backbones.create("LResNet10E-IR", embedding_dim=0)


@pytest.mark.parametrize("name", ["LResNet10E-IR-w16", "Inception-ResNet-v1"])
def test_dropout_is_an_option(name: str) -> None:
    with torch.device("meta"):
        given = backbones.create(name, embedding_dim=8, dropout=0.25)
        own = backbones.create(name, embedding_dim=8)
    shares = [[m.p for m in network.modules() if isinstance(m, nn.Dropout)] for network in (given, own)]
    assert shares == [[0.25], [0.6 if name == "Inception-ResNet-v1" else 0.4]]
    with pytest.raises(ValueError, match=r"dropout is 1\.0: must be in \[0, 1\)"):
        backbones.create(name, embedding_dim=8, dropout=1.0)


@pytest.mark.parametrize("name", ["LResNet10B-IR-w16", "IAM-Toy"])
def test_dropout_where_there_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"dropout is 0\.5"):
        backbones.create(name, embedding_dim=8, dropout=0.5)


def test_the_same_seed_gives_the_same_weights() -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return backbones.create("SE-LResNet10E-IR-w16", embedding_dim=8, image_shape=(1, 32, 32)).state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("name", "smaller"),
    [
        ("LMobileNetE", "LMobileNetE-w16"),
        ("LDenseNet161E-d6", "LDenseNet161E-w48-d6"),
        ("LDPN92E-d2", "LDPN92E-w32-d2"),
        ("LInception-ResNet-v2-d5", "LInception-ResNet-v2-w16-d5"),
    ],
)
def test_half_the_width_costs_a_quarter(name: str, smaller: str) -> None:
    whole, half = (backbones.multiply_adds(each, embedding_dim=128, image_shape=(1, 32, 32)) for each in (name, smaller))
    assert whole / 4 < half < whole / 3


def test_a_cost_is_that_of_every_product() -> None:
    network = backbones.create("SE-LResNet10E-IR-w16", embedding_dim=8, image_shape=(1, 32, 32)).eval()
    products = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda layer, _, maps: products.append(maps[0].numel() * layer.weight[0].numel()))
    network(torch.zeros(1, 1, 32, 32))
    assert backbones.multiply_adds("SE-LResNet10E-IR-w16", embedding_dim=8, image_shape=(1, 32, 32)) == sum(products)


def test_a_part_of_the_units_is_at_least_one_of_each_stage() -> None:
    depths = [count(on_meta(f"LDenseNet161E-d{depth}")[0]) for depth in (1, 6, 36, 100)]
    assert depths[0] > depths[1] > depths[2] == depths[3]


@pytest.mark.parametrize("name", ["LDPN92E-w5", "LInception-ResNet-v2-w3"])
def test_a_width_that_leaves_parts_of_channels_is_told(name: str) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        backbones.create(name, embedding_dim=8)


@pytest.mark.parametrize("name", ["Inception-ResNet-v1-w16", "LMobileNetE-w0", "LMobileNetE-d2-w16", "IAM-Toy-d2"])
def test_other_networks_and_other_orders_are_unknown(name: str) -> None:
    with pytest.raises(ValueError, match="unknown backbone"):
        backbones.create(name, embedding_dim=8)
