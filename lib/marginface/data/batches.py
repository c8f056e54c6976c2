"""Which images make a batch, and what is done to them before a network sees them.

All of it can be repeated from a few numbers, so that a run that was killed goes on as if it had not been.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Sampler


class Batches(Sampler[list[int]]):
    """An epoch of whole batches in random order. Of each batch every rank gets its share; what is left over is left out.

    Arguments:
        samples: how many images there are.
        batch_size: images in a batch, over all ranks.
        generator: draws the order; `state` keeps it as it was before the epoch.
    Set `start` to leave out the first batches of the next epoch.
    """

    def __init__(self, samples: int, batch_size: int, generator: torch.Generator, rank: int = 0, world: int = 1) -> None:
        if batch_size % world:
            raise ValueError(f"batch_size={batch_size} does not divide among {world} processes")
        self.samples, self.batch_size, self.generator, self.rank, self.world = samples, batch_size, generator, rank, world
        self.start = 0

    def __len__(self) -> int:
        return self.samples // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        order = self._order()
        first, self.start = self.start, 0
        share = self.batch_size // self.world
        for batch in range(first, len(self)):
            at = batch * self.batch_size + self.rank * share
            yield order[at : at + share].tolist()
        torch.randperm(self.samples, generator=self.generator)  # as PyTorch's sampler does, with which older runs were made

    def _order(self) -> Tensor:
        return torch.randperm(self.samples, generator=self.generator)


class BlockBatches(Batches):
    """Batches in random order of what does not fit memory: images that lie one after the other are read at about the same time.

    Blocks of images come in random order, and of so many blocks at a time as `window` says the images do. With 100 blocks of
    1,000 a disk reads 1,000 images in a row where it would have looked for each.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        generator: torch.Generator,
        rank: int = 0,
        world: int = 1,
        block: int = 1000,
        window: int = 100,
    ) -> None:
        super().__init__(samples, batch_size, generator, rank, world)
        if block < 1 or window < 1:
            raise ValueError(f"block={block} and window={window} must be at least 1")
        self.block, self.window = block, window

    def _order(self) -> Tensor:
        starts = torch.randperm(-(-self.samples // self.block), generator=self.generator) * self.block
        parts = []
        for some in starts.split(self.window):
            images = torch.cat([torch.arange(start, min(start + self.block, self.samples)) for start in some.tolist()])
            parts.append(images[torch.randperm(len(images), generator=self.generator)])
        return torch.cat(parts)


class IdentityBatches(Batches):
    """Batches of several images of a person, which triplets need: `each` of each, people and images in random order.

    An epoch has as many batches as there are images for; of people with fewer than `each`, images repeat.
    """

    def __init__(
        self,
        labels: Sequence[int] | np.ndarray,
        each: int,
        batch_size: int,
        generator: torch.Generator,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(len(labels), batch_size, generator, rank, world)
        if each < 2 or batch_size % (each * world):
            raise ValueError(f"batch_size={batch_size} must hold {each} ≥ 2 images of each of its people on {world} processes")
        self.each = each
        by_person = np.argsort(labels, kind="stable")
        self.people = [torch.tensor(p) for p in np.split(by_person, np.flatnonzero(np.diff(np.asarray(labels)[by_person])) + 1)]

    def _order(self) -> Tensor:
        groups: list[Tensor] = []
        while len(groups) * self.each < len(self) * self.batch_size:
            for person in torch.randperm(len(self.people), generator=self.generator).tolist():
                images = self.people[person]
                repeated = images.repeat(-(-self.each // len(images)))
                groups.append(repeated[torch.randperm(len(repeated), generator=self.generator)[: self.each]])
        return torch.cat(groups)


def augment(images: Tensor, seed: int, flip: float = 0.5, jitter: float = 0.0, rank: int = 0, world: int = 1) -> Tensor:
    """Mirrored with probability `flip`; shifted, turned and scaled at random by up to `jitter`. Same seed, same change.

    Arguments:
        images: (N, C, H, W) float.
        jitter: the largest shift in halves of the image, turn in radians, and change of scale.
        rank, world: whose share of a batch these are, of how many equal ones: what happens to an image depends on neither.
    """
    numbers = torch.rand(5, world * len(images), generator=torch.Generator().manual_seed(seed))
    numbers = numbers[:, rank * len(images) : (rank + 1) * len(images)].to(images)
    sign = 1 - 2 * (numbers[0] < flip).to(images.dtype)
    if not jitter:
        return torch.where(sign[:, None, None, None] < 0, images.flip(3), images)
    scale, turn, right, down = 1 + jitter * (2 * numbers[1] - 1), *(jitter * (2 * numbers[2:] - 1))
    rows = [sign * scale * turn.cos(), -scale * turn.sin(), right, sign * scale * turn.sin(), scale * turn.cos(), down]
    where = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, where, padding_mode="border", align_corners=False)
