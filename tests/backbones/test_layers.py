import math

import pytest
import torch
from torch import nn

from marginface.backbones.layers import Float32, PReLU, conv, halved, initialise, output


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_prelu_is_that_of_pytorch(dtype: torch.dtype, memory_format: torch.memory_format) -> None:
    ours, theirs = PReLU(3).to(dtype), nn.PReLU(3).to(dtype)
    slopes = torch.tensor([0.25, -0.5, 0], dtype=dtype)
    x = torch.randn(4, 3, 5, 6, dtype=dtype)
    x[0, 0, 0, :2] = torch.tensor([0.0, -0.0])
    weights = torch.randn_like(x)
    results = []
    for layer in (ours, theirs):
        layer.weight.data.copy_(slopes)
        leaf = x.clone(memory_format=memory_format).requires_grad_()
        y = layer(leaf)
        (y * weights).sum().backward()
        results.append((y, leaf.grad, layer.weight.grad))
    for mine, other in zip(*results, strict=True):
        assert mine is not None
        assert mine.dim() == 1 or mine.is_contiguous(memory_format=memory_format)
        torch.testing.assert_close(mine, other)


def test_prelu_is_differentiable_twice() -> None:
    layer = PReLU(2).double()
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))


def test_prelu_under_autocast() -> None:
    layer, x = PReLU(3), torch.randn(2, 3, 4, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(conv(3, 3, 1)(x))
    y.float().sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is not None
    assert (x.grad.dtype, layer.weight.grad.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize(
    ("option", "layers"),
    [
        ("A", ["AdaptiveAvgPool2d", "Flatten"]),
        ("B", ["AdaptiveAvgPool2d", "Flatten", "Linear"]),
        ("C", ["AdaptiveAvgPool2d", "Flatten", "Linear", "BatchNorm1d"]),
        ("D", ["AdaptiveAvgPool2d", "Flatten", "Linear", "BatchNorm1d", "PReLU"]),
        ("E", ["BatchNorm2d", "Dropout", "Flatten", "Linear", "BatchNorm1d"]),
    ],
)
def test_outputs_are_those_of_the_paper(option: str, layers: list[str]) -> None:
    module = output(option, (6, 3, 4), 6)
    assert isinstance(module, Float32)
    assert [type(layer).__name__ for layer in module.layers] == layers
    assert module(torch.randn(5, 6, 3, 4)).shape == (5, 6)


def test_output_a_cannot_choose_the_embedding() -> None:
    with pytest.raises(ValueError, match=r"embedding_dim is 8: output A .* gives 6"):
        output("A", (6, 3, 4), 8)


def test_the_last_batch_norm_keeps_its_scale() -> None:
    frozen = [name for name, p in output("E", (6, 3, 4), 8).named_parameters() if not p.requires_grad]
    assert frozen == ["layers.4.weight"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_output_keeps_its_precision_under_autocast(dtype: torch.dtype) -> None:
    module = output("E", (6, 3, 4), 8).to(dtype).eval()
    maps = torch.randn(5, 6, 3, 4, dtype=dtype)
    expected = module(maps)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(module(maps), expected)


@pytest.mark.parametrize(("groups", "fan_out"), [(1, 64 * 9), (8, 8 * 9), (64, 9)])
def test_first_weights_have_variance_2_over_fan_out(groups: int, fan_out: int) -> None:
    layer = conv(64, 64, 3, groups=groups)
    initialise(layer)
    # of n normal numbers the standard deviation has a relative error of sqrt(1 / 2n); five of those
    tolerance = 5 / math.sqrt(2 * layer.weight.numel())
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=tolerance)


def test_first_biases_are_zero() -> None:
    layer = nn.Linear(5, 1000)
    initialise(layer)
    assert not layer.bias.any()
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / 1000), rel=0.05)


@pytest.mark.parametrize(("side", "times", "left"), [(112, 4, 7), (56, 4, 4), (17, 4, 2), (1, 4, 1), (7, 0, 7)])
def test_halving_rounds_up(side: int, times: int, left: int) -> None:
    assert halved(side, times) == left
