"""What is trained: a backbone and its head."""

import torch
from torch import Tensor, nn

from marginface.heads import MarginHead
from marginface.pairwise import PairHead


class Learner(nn.Module):
    """A backbone and its head: what is trained."""

    def __init__(self, backbone: nn.Module, head: MarginHead | PairHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.frozen = False  # whether the head alone learns

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of images (N, C, H, W) with labels (N,)."""
        if not self.frozen:
            return self.head(self.backbone(images), labels)
        self.backbone.eval()
        with torch.no_grad():
            embeddings = self.backbone(images)
        self.backbone.train(self.training)
        loss = self.head(embeddings, labels)
        if torch.distributed.is_available() and torch.distributed.is_initialized():  # where every parameter has to take part
            return loss + 0 * sum(parameter.sum() for parameter in self.backbone.parameters())
        return loss
