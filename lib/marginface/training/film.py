"""How embeddings of two dimensions move while they are trained: frames for an animation."""

import numpy as np
import torch
from torch import Tensor

from marginface.data.types import ImageData
from marginface.heads import MarginHead
from marginface.training.learner import Learner
from marginface.training.testing import embed

FRAMES = 25  # denser at the beginning, where more happens
SAMPLES = 240


class Film:
    """Where training images and class weights lie on the circle before a step, at some of the steps and at the end."""

    def __init__(self, data: ImageData, steps: int, normalisation: str, dtype: torch.dtype) -> None:
        self.images, self.normalisation, self.dtype = data.tensors("train")[0][:SAMPLES], normalisation, dtype
        self.classes = data.num_classes
        self.at = sorted({round(steps * (k / (FRAMES - 1)) ** 2) for k in range(FRAMES)})
        self.frames: list[tuple[Tensor, Tensor]] = []  # tensors, which a checkpoint can hold

    def watch(self, learner: Learner, step: int) -> None:
        """Take a frame if one is due after so many steps."""
        if step in self.at:
            embeddings = embed(learner.backbone, self.images, self.normalisation, self.dtype)
            assert isinstance(learner.head, MarginHead)
            self.frames.append((_angles(embeddings), _angles(learner.head.weight.detach())))

    def like(self, step: int) -> list[tuple[Tensor, Tensor]]:
        """Frames of the form of those that have been taken after so many steps."""
        frame = torch.empty(len(self.images), dtype=torch.half), torch.empty(self.classes, dtype=torch.half)
        return [frame] * sum(at <= step for at in self.at)

    def arrays(self) -> dict[str, np.ndarray]:
        """Angles in radians: of F frames and N images (F, N) and C classes (F, C); the steps (F,) they were taken after."""
        images, classes = (torch.stack(angles).numpy() for angles in zip(*self.frames, strict=True))
        return {"film_images": images, "film_classes": classes, "film_steps": np.array(self.at, dtype=np.int32)}


def _angles(directions: Tensor) -> Tensor:
    x, y = directions.float().cpu().unbind(dim=1)
    return torch.atan2(y, x).half()
