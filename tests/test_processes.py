"""Heads in several processes, each with its share of a batch: what comes out is the whole batch's."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from marginface.adjacent import PAM
from marginface.heads import MarginHead
from marginface.margins import Annealing, NormFace, SphereFace
from marginface.regularizers import CenterLoss, RingLoss, Stateful

REGULARIZERS: dict[str, Callable[[], Stateful]] = {
    "centres": lambda: CenterLoss(0.5),
    "learned centres": lambda: CenterLoss(0.5, centres="learned"),
    "ring": lambda: RingLoss(0.5),
    "pam 1": lambda: PAM(0.5, start_step=1),
    "pam 2": lambda: PAM(0.5, version=2),
}

SHARE = """
import sys
sys.path.insert(0, {root!r})
import torch, torch.distributed as dist
from tests.test_processes import REGULARIZERS, learn
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://{out}/meeting", rank={rank}, world_size=2)
torch.save({{name: learn(name, {rank}, 2) for name in REGULARIZERS}}, "{out}/{rank}.pt")
dist.destroy_process_group()
"""


class Learner(nn.Module):
    def __init__(self, head: MarginHead) -> None:
        super().__init__()
        self.backbone, self.head = nn.Linear(6, 4, bias=False), head

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.head(self.backbone(x), y)


def learn(name: str, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
    """The state after three steps with every world-th sample."""
    torch.manual_seed(0)
    margin = SphereFace(2, Annealing(10, 0, 5)) if name == "ring" else NormFace(8)
    learner: nn.Module = Learner(MarginHead(4, 5, margin, [REGULARIZERS[name]()])).double()
    batches = [(torch.randn(8, 6, dtype=torch.float64), torch.randint(5, (8,))) for _ in range(3)]
    wrapped = DistributedDataParallel(learner) if world > 1 else learner
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
    for x, y in batches:
        optimizer.zero_grad()
        wrapped(x[rank::world], y[rank::world]).backward()
        optimizer.step()
    return {key: value for key, value in learner.state_dict().items() if isinstance(value, Tensor)}


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two processes ends with, by the regularizer's name."""
    if not dist.is_available():
        pytest.skip("this torch has no torch.distributed")
    out = tmp_path_factory.mktemp("processes")
    scripts = [SHARE.format(root=str(Path(__file__).parents[1]), out=out, rank=rank) for rank in range(2)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen([sys.executable, "-c", script], env=environment) for script in scripts]
    assert [process.wait(timeout=1800) for process in processes] == [0, 0]
    return [torch.load(out / f"{rank}.pt") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", REGULARIZERS)
def test_two_processes_end_as_one_with_the_whole_batch(name: str, shares: list[dict[str, dict[str, Tensor]]]) -> None:
    whole = learn(name)
    for share in shares:
        assert share[name].keys() == whole.keys()
        for key, value in whole.items():
            assert torch.allclose(share[name][key], value, rtol=1e-10, atol=1e-12), key
