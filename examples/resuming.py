"""To stop and go on: a head's state is in its state_dict, the step of a growing margin with it.

python examples/resuming.py
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from marginface import ArcFace, MarginHead
from marginface.margins import Ramp

STEPS = 40


def parts() -> tuple[nn.Module, MarginHead, torch.optim.Optimizer]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(16, 32), nn.PReLU(), nn.Linear(32, 8))
    head = MarginHead(8, 5, ArcFace(scale=16.0, m=Ramp(0.0, 0.4, steps=STEPS)))  # no margin at first, 0.4 at the end
    return network, head, torch.optim.Adam([*network.parameters(), *head.parameters()], lr=1e-2)


def train(network: nn.Module, head: MarginHead, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        numbers = torch.Generator().manual_seed(step)
        labels = torch.randint(5, (32,), generator=numbers)
        images = torch.nn.functional.one_hot(labels, 16) + 0.3 * torch.randn(32, 16, generator=numbers)
        loss = head(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main() -> bool:
    """Whether a training that was stopped half-way and went on has the weights of one that was not."""
    whole = parts()
    train(*whole, range(STEPS))

    stopped = parts()
    train(*stopped, range(STEPS // 2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        torch.save([part.state_dict() for part in stopped], path)

        again = parts()  # in another process, on another day
        parts_and_states: Any = zip(again, torch.load(path, weights_only=True), strict=True)
        for part, state in parts_and_states:
            part.load_state_dict(state)
    print(f"at step {again[1].step} the head has {again[1].margin.at(again[1].step)}")
    train(*again, range(STEPS // 2, STEPS))
    return torch.equal(again[1].weight, whole[1].weight)


if __name__ == "__main__":
    print("the same weights" if main() else "other weights")
