"""MobileNet, DenseNet, DPN and the Inception-ResNets with numbers: their units, and that everything in them trains."""

import pytest
import torch
import torch.nn.functional as F

from marginface import backbones
from marginface.backbones.densenet import DenseUnit
from marginface.backbones.dpn import DualPathUnit
from marginface.backbones.inception_resnet import Branches, Residual


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("LMobileNetE", 16),
        ("LDenseNet161E", 16),
        ("LDPN92E", 16),
        ("LInception-ResNet-v2", 21),
        ("Inception-ResNet-v1", 75),
        ("IAM-Toy", 16),
    ],
)
def test_every_parameter_trains(name: str, side: int) -> None:
    network = backbones.create(name, embedding_dim=8, image_shape=(1, side, side))
    embeddings = network(torch.randn(4, 1, side, side))
    assert embeddings.std().item() == pytest.approx(1, rel=0.1)
    (embeddings * torch.randn_like(embeddings)).sum().backward()
    untrained = [name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert untrained == []


def test_a_dense_unit_keeps_its_input_and_adds_to_it() -> None:
    unit, x = DenseUnit(5, 7).eval(), torch.randn(2, 5, 3, 4)
    y = unit(x)
    torch.testing.assert_close(y[:, :5], x)
    torch.testing.assert_close(y[:, 5:], unit.body(x))
    assert y.shape == (2, 5 + 7, 3, 4)


def test_a_dual_path_unit_adds_on_one_path_and_lengthens_the_other() -> None:
    unit = DualPathUnit(inputs=11, inner=8, residual=6, growth=2, groups=4, stride=1, project=False).eval()
    x = torch.randn(2, 11, 3, 4)
    new = unit.body(x)
    y = unit(x)
    torch.testing.assert_close(y[:, :6], x[:, :6] + new[:, :6])
    torch.testing.assert_close(y[:, 6:11], x[:, 6:])
    torch.testing.assert_close(y[:, 11:], new[:, 6:])


def test_the_first_dual_path_unit_of_a_stage_projects_its_input() -> None:
    unit = DualPathUnit(inputs=11, inner=8, residual=6, growth=2, groups=4, stride=2, project=True).eval()
    x = torch.randn(2, 11, 6, 4)
    projected, new, y = unit.shortcut(x), unit.body(x), unit(x)
    assert y.shape == (2, 6 + 3 * 2, 3, 2)
    torch.testing.assert_close(y[:, :6], projected[:, :6] + new[:, :6])
    torch.testing.assert_close(y[:, 6:], torch.cat([projected[:, 6:], new[:, 6:]], dim=1))


@pytest.mark.parametrize("last", [False, True])
def test_an_inception_residual_adds_a_scaled_share(last: bool) -> None:
    block = Residual(4, 0.1, [(3, 1, 1)], [(2, 1, 1), (5, (1, 7), 1), (6, (7, 1), 1)], last=last).eval()
    x = torch.randn(2, 4, 5, 9)
    total = x + 0.1 * block.project(block.branches(x))
    torch.testing.assert_close(block(x), total if last else total.relu())
    assert block.branches(x).shape == (2, 3 + 6, 5, 9)


def test_branches_stand_side_by_side_in_channels() -> None:
    branches, x = Branches(4, [(3, 3, 2)], [(2, 1, 1), (5, 3, 2)], pool=True).eval(), torch.randn(2, 4, 9, 7)
    y = branches(x)
    assert y.shape == (2, 3 + 5 + 4, 4, 3)
    torch.testing.assert_close(y[:, 8:], F.max_pool2d(x, 3, 2))


def test_the_averaging_branch_leaves_out_the_padding() -> None:
    branches = Branches(4, [(3, 1, 1)], average=2).eval()
    ones = torch.ones(1, 4, 5, 5)
    averaged = branches(ones)[:, 3:]
    torch.testing.assert_close(averaged, averaged[..., :1, :1].expand_as(averaged))
