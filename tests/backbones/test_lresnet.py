"""Small ones with numbers: what the units compute, and that they learn."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from marginface import backbones
from marginface.backbones.lresnet import UNITS, LResNet, SqueezeExcite, Unit, lresnet, names, parse


def small(name: str, image_shape: tuple[int, int, int] = (1, 32, 32), embedding_dim: int = 8) -> nn.Module:
    return backbones.create(name, embedding_dim=embedding_dim, image_shape=image_shape)


@given(
    units=st.sampled_from(sorted(UNITS)),
    large=st.booleans(),
    output=st.sampled_from("ABCDE"),
    improved=st.booleans(),
    se=st.booleans(),
    width=st.integers(1, 500),
)
def test_a_name_says_what_was_written(units: str, large: bool, output: str, improved: bool, se: bool, width: int) -> None:
    name = f"{'SE-' * se}{'L' * large}Res{units}{output}{'-IR' * improved}"
    assert name in names()
    assert parse(name) == LResNet(units, large, output, improved, se)
    assert parse(f"{name}-w{width}") == LResNet(units, large, output, improved, se, width)


def batch_norm(layer: nn.Module, x: Tensor) -> Tensor:
    """In evaluation mode."""
    assert isinstance(layer, nn.BatchNorm2d)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=2e-5)


def stirred(module: nn.Module) -> nn.Module:
    """Other numbers than the first in every BatchNorm, so that none can be missing unseen. In evaluation mode."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
                assert tensor is not None
                tensor.uniform_(0.5, 2)
    return module.double().eval()


def test_the_improved_unit_is_bn_conv_bn_prelu_conv_bn() -> None:
    unit = Unit(LResNet("Net50"), 16, 32, stride=2)
    stirred(unit)
    x = torch.randn(2, 16, 9, 7, dtype=torch.float64)
    bn1, conv1, bn2, prelu, conv2, bn3 = unit.body
    assert isinstance(prelu, nn.PReLU)
    inner = F.conv2d(batch_norm(bn1, x), conv1.weight, padding=1)  # type: ignore[arg-type]
    inner = F.prelu(batch_norm(bn2, inner), prelu.weight)
    inner = batch_norm(bn3, F.conv2d(inner, conv2.weight, stride=2, padding=1))  # type: ignore[arg-type]
    conv, bn = unit.shortcut
    expected = inner + batch_norm(bn, F.conv2d(x, conv.weight, stride=2))  # type: ignore[arg-type]
    assert expected.shape == (2, 32, 5, 4)
    torch.testing.assert_close(unit(x), expected)


def test_the_original_unit_is_conv_bn_relu_conv_bn_and_relu() -> None:
    unit = Unit(LResNet("Net50", improved=False), 16, 16, stride=1)
    stirred(unit)
    x = torch.randn(2, 16, 5, 5, dtype=torch.float64)
    conv1, bn1, relu, conv2, bn2 = unit.body
    assert isinstance(relu, nn.ReLU)
    assert len(unit.shortcut) == 0
    inner = batch_norm(bn1, F.conv2d(x, conv1.weight, padding=1)).relu()  # type: ignore[arg-type]
    inner = batch_norm(bn2, F.conv2d(inner, conv2.weight, padding=1))  # type: ignore[arg-type]
    torch.testing.assert_close(unit(x), (x + inner).relu())


def test_the_improved_unit_strides_in_its_second_convolution_and_the_original_in_its_first() -> None:
    def strides(improved: bool) -> list[tuple[int, ...]]:
        unit = Unit(LResNet("Net34", improved=improved), 16, 32, stride=2)
        return [layer.stride for layer in unit.body if isinstance(layer, nn.Conv2d)]

    assert strides(improved=True) == [(1, 1), (2, 2)]
    assert strides(improved=False) == [(2, 2), (1, 1)]


def test_squeeze_and_excite_weighs_channels_by_their_means() -> None:
    layer = SqueezeExcite(32, nn.ReLU()).double()
    x = torch.randn(2, 32, 4, 6, dtype=torch.float64)
    squeeze, excite = (m for m in layer.weights if isinstance(m, nn.Conv2d))
    assert squeeze.out_channels == 2
    assert squeeze.bias is not None
    assert excite.bias is not None
    means = x.mean((2, 3))
    inner = (means @ squeeze.weight[:, :, 0, 0].T + squeeze.bias).relu()
    weights = (inner @ excite.weight[:, :, 0, 0].T + excite.bias).sigmoid()
    torch.testing.assert_close(layer(x), x * weights[:, :, None, None])


@settings(max_examples=10, deadline=None)
@given(channels=st.integers(1, 4), height=st.integers(29, 130), width=st.integers(29, 130), large=st.booleans())
def test_any_image_shape_works(channels: int, height: int, width: int, large: bool) -> None:
    with torch.device("meta"):
        options = LResNet("Net10", large, width=16)
        network = lresnet(options, embedding_dim=4, image_shape=(channels, height, width)).eval()
        assert network(torch.empty(2, channels, height, width)).shape == (2, 4)


@pytest.mark.slow
@pytest.mark.parametrize("units", ["Net10", "Net101", "NeXt101"])
@pytest.mark.parametrize("improved", ["", "-IR"])
@pytest.mark.parametrize("se", ["", "SE-"])
def test_every_option_trains_every_parameter(se: str, units: str, improved: str) -> None:
    network = small(f"{se}LRes{units}E{improved}-w32", (3, 16, 16))
    network(torch.randn(4, 3, 16, 16)).square().sum().backward()
    untrained = [name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert untrained == []


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", ["LResNet10E-IR-w16", "SE-LResNet10D-w16", "ResNet10C-IR-w16"])
def test_a_small_network_learns(name: str, precision: str) -> None:
    """Four images, and where on a circle they shall be."""
    network = small(name, embedding_dim=2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(4, 1, 32, 32)
    targets = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.05, momentum=0.9)
    losses = []
    for _ in range(30):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            embeddings = network(images)
        assert embeddings.dtype == torch.float32
        loss = (1 - F.cosine_similarity(embeddings, targets)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("name", "why"),
    [("LResNet10E-IR-w12", "width is 12: must be at least 16$"), ("LResNeXt101E-w48", "width is 48: .* multiple of 32$")],
)
def test_impossible_widths_are_refused(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        small(name)


def test_deep_networks_start_with_maps_of_ordinary_size() -> None:
    """What the first weights are for: neither vanishing nor exploding behind 49 units, and embeddings that differ."""
    network = small("LResNet100E-IR-w16", (1, 32, 32), embedding_dim=64)
    assert isinstance(network, nn.Sequential)
    images = torch.randn(16, 1, 32, 32)
    with torch.no_grad():
        maps = network[:-1](images)
        embeddings = network(images)
    assert 1 < maps.std() < 20
    torch.testing.assert_close(embeddings.var(0, correction=0), torch.ones(64), rtol=0.01, atol=0)
    assert torch.corrcoef(embeddings).fill_diagonal_(0).abs().max() < 0.9


def test_one_part_of_the_improved_unit_can_stay_as_it_was() -> None:
    """The same parameters but for the slopes, and the same shapes; "-S1" has the stride in the first convolution."""
    whole, first, relu = (small(f"LResNet10E-IR{kept}-w16") for kept in ("", "-S1", "-ReLU"))

    def strides(network: nn.Module) -> list[tuple[int, ...]]:
        units = [module for module in network.modules() if isinstance(module, Unit)]
        return [tuple(c.stride[0] for c in unit.body if isinstance(c, nn.Conv2d)) for unit in units]

    assert strides(whole) == strides(relu) == [(1, 2)] * 4
    assert strides(first) == [(2, 1)] * 4
    slopes = sum(p.numel() for m in whole.modules() if isinstance(m, nn.PReLU) for p in m.parameters())
    assert slopes > 0
    sizes = [sum(p.numel() for p in network.parameters()) for network in (whole, first, relu)]
    assert sizes == [sizes[0], sizes[0], sizes[0] - slopes]
    assert not any(isinstance(module, nn.PReLU) for module in relu.modules())
    with pytest.raises(ValueError, match="unknown backbone"):
        small("LResNet10E-S1-w16")
