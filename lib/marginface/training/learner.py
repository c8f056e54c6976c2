"""What is trained: a backbone and its head."""

from torch import Tensor, nn

from marginface.heads import MarginHead
from marginface.triplet import TripletHead


class Learner(nn.Module):
    """A backbone and its head: what is trained."""

    def __init__(self, backbone: nn.Module, head: MarginHead | TripletHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of images (N, C, H, W) with labels (N,)."""
        return self.head(self.backbone(images), labels)
