"""Batches: every image once an epoch, in an order that can be repeated, shared out among processes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from marginface.data.batches import Batches, BlockBatches, IdentityBatches, augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(samples=st.integers(1, 60), batch=st.integers(1, 20), world=st.integers(1, 4), start=st.integers(0, 5))
def test_ranks_share_every_batch(samples: int, batch: int, world: int, start: int) -> None:
    size = batch * world
    whole = list(Batches(samples, size, generator()))
    assert len(whole) == samples // size
    assert len({i for b in whole for i in b}) == samples // size * size
    shares = [Batches(samples, size, generator(), rank, world) for rank in range(world)]
    for share in shares:
        share.start = start
    for parts, expected in zip(zip(*shares, strict=True), whole[start:], strict=True):
        assert [i for part in parts for i in part] == expected


@given(
    samples=st.integers(1, 60),
    batch=st.integers(1, 10),
    world=st.integers(1, 3),
    start=st.integers(0, 5),
    block=st.integers(1, 20),
    window=st.integers(1, 4),
)
def test_blocks_are_shared_and_resumed_as_single_images_are(
    samples: int, batch: int, world: int, start: int, block: int, window: int
) -> None:
    how, size = {"block": block, "window": window}, batch * world
    whole = list(BlockBatches(samples, size, generator(), **how))
    order = [i for part in whole for i in part]
    assert len(set(order)) == len(order) == samples // size * size
    for at in range(0, len(order) - block * window, block * window):  # of a window's images no more than its blocks have
        assert len({i // block for i in order[at : at + block * window]}) <= 2 * window
    shares = [BlockBatches(samples, size, generator(), rank, world, **how) for rank in range(world)]
    for share in shares:
        share.start = start
    for parts, expected in zip(zip(*shares, strict=True), whole[start:], strict=True):
        assert [i for part in parts for i in part] == expected


def test_blocks_come_in_another_order_each_epoch() -> None:
    batches = BlockBatches(40, 8, generator(), block=4, window=2)
    first, second = list(batches), list(batches)
    assert first != second
    with pytest.raises(ValueError, match="block=0 and window=2"):
        BlockBatches(40, 8, generator(), block=0, window=2)


def test_the_order_is_that_of_pytorchs_own_loader() -> None:
    images = TensorDataset(torch.arange(50))
    theirs = DataLoader(images, batch_size=8, shuffle=True, drop_last=True, generator=generator(3))
    draws = generator(3)
    ours = DataLoader(images, batch_sampler=Batches(50, 8, draws), generator=draws)
    for _ in range(3):
        for (a,), (b,) in zip(theirs, ours, strict=True):
            assert torch.equal(a, b)


def test_people_come_several_images_at_a_time() -> None:
    labels = np.array([0] * 9 + [1] * 2 + [2] * 5 + [3] * 1 + [4] * 7)
    batches = list(IdentityBatches(labels, 3, 12, generator()))
    assert len(batches) == len(labels) // 12
    for batch in batches:
        groups = labels[batch].reshape(-1, 3)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0])) >= 2
    assert list(IdentityBatches(labels, 3, 12, generator(1))) != batches


def test_what_does_not_divide_is_named() -> None:
    with pytest.raises(ValueError, match="batch_size=10 does not divide among 4"):
        Batches(100, 10, generator(), 0, 4)
    with pytest.raises(ValueError, match="batch_size=10 must hold 4"):
        IdentityBatches(np.arange(100), 4, 10, generator())


def test_what_happens_to_an_image_does_not_depend_on_whose_it_is() -> None:
    images = torch.rand(6, 1, 8, 8)
    whole = augment(images, 3, 0.5, 0.1)
    for world in (2, 3):
        shares = [augment(part, 3, 0.5, 0.1, rank, world) for rank, part in enumerate(images.chunk(world))]
        assert torch.equal(torch.cat(shares), whole)


def test_augmentation_repeats_itself_and_mirrors() -> None:
    images = torch.rand(64, 1, 12, 12)
    flipped = augment(images, seed=5)
    assert torch.equal(flipped, augment(images, seed=5))
    same = (flipped == images).flatten(1).all(dim=1)
    assert 10 < int(same.sum()) < 54
    assert torch.equal(flipped[~same], images[~same].flip(3))
    assert torch.equal(augment(images, 0, flip=0.0), images)
    assert torch.equal(augment(images, 0, flip=1.0), images.flip(3))


def test_jitter_moves_an_image_by_no_more_than_it_says() -> None:
    images = torch.zeros(200, 1, 41, 41)
    images[:, :, 20, 20] = 1
    moved = augment(images, 0, flip=0.0, jitter=0.1)
    rows, columns = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), indexing="ij")
    weight = moved[:, 0].sum(dim=(1, 2))
    y, x = ((moved[:, 0] * grid).sum(dim=(1, 2)) / weight for grid in (rows, columns))
    shift = torch.stack([x - 20, y - 20]).abs()
    assert shift.max() < 0.1 * 20.5 / 0.9 + 0.6
    assert shift.mean() > 0.5
    mirrored = augment(images, 0, flip=1.0, jitter=0.1)
    assert torch.isfinite(mirrored).all()
