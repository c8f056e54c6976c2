"""A margin loss in a training loop of one's own: scikit-learn's digits, nobody's faces.

python examples/plain_loop.py
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from marginface import ArcFace, MarginHead


def main(epochs: int = 20) -> float:
    """The share of test images whose nearest class weight is their own."""
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).div_(8).sub_(1).flatten(1)
    labels = torch.tensor(digits.target, dtype=torch.int64)
    test = torch.from_numpy(np.arange(len(labels)) % 5 == 4)

    network = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.PReLU(), nn.Linear(128, 32))
    head = MarginHead(embedding_dim=32, num_classes=10, margin=ArcFace(scale=16.0, m=0.2), reduction="none")
    print(head)
    # the head has parameters of its own: one optimizer for both
    optimizer = torch.optim.SGD([*network.parameters(), *head.parameters()], lr=0.05, momentum=0.9, weight_decay=5e-4)

    x, y = images[~test], labels[~test]
    trust = torch.ones(len(y))  # how much each sample counts, such as less where its label is doubtful
    for _ in range(epochs):
        for batch in torch.randperm(len(y)).split(64):
            losses = head(network(x[batch]), y[batch], trust[batch])  # one loss a sample, times its weight
            optimizer.zero_grad()
            (losses.sum() / trust[batch].sum()).backward()
            optimizer.step()

    network.eval()
    with torch.no_grad():
        predicted = head.logits(network(images[test])).argmax(dim=1)  # without labels there is no margin
    return float((predicted == labels[test]).float().mean())


if __name__ == "__main__":
    print(f"accuracy {100 * main():.1f} %")
