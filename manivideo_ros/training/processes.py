"""Several processes that train one network, as torchrun starts them: each a share of the batch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET = 32_000_000  # numbers that are averaged at a time


@dataclass(frozen=True)
class Place:
    """This process's number among `world`, and the device that it trains on."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device('cpu'))

    @property
    def first(self) -> bool:
        """Whether it is this one that writes and talks."""
        return self.rank == 0


ALONE = Place()


def join(device: str = '') -> Place:
    """Meet the other processes, if torchrun started this one; `leave` when done.

    device: 'cpu' or 'cuda', '' for a GPU where there is one. Raises ValueError without a GPU.
    """
    rank, world = int(os.environ.get('RANK', '0')), int(os.environ.get('WORLD_SIZE', '1'))
    cuda = torch.cuda.is_available()
    if device not in ('', 'cpu', 'cuda') or (device == 'cuda' and not cuda):
        raise ValueError(f"--device {device}: use 'cpu'" + (" or 'cuda'" if cuda else ''))
    here = torch.device('cpu')
    if cuda and device != 'cpu':
        here = torch.device('cuda', int(os.environ.get('LOCAL_RANK', '0')))
        torch.cuda.set_device(here)
    if world > 1:
        # The first process may be generating scenes for hours while the others wait.
        backend = 'nccl' if here.type == 'cuda' else 'gloo'
        dist.init_process_group(backend, timeout=timedelta(days=2))
    return Place(rank, world, here)


def leave(place: Place) -> None:
    """Part from the other processes."""
    if place.world > 1 and dist.is_initialized():
        dist.destroy_process_group()


def wait_for_first(place: Place) -> None:
    """Wait until every process is here: the first may have been writing files."""
    if place.world > 1:
        dist.barrier()


def average_gradients(parameters: Iterable[nn.Parameter], place: Place) -> None:
    """Make every process's gradients their mean; what has none in one process counts as zero."""
    if place.world == 1:
        return
    bucket: list[nn.Parameter] = []
    held = 0
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        bucket.append(parameter)
        held += parameter.numel()
        if held >= BUCKET:
            _average(bucket, place.world)
            bucket, held = [], 0
    _average(bucket, place.world)


def mean_over(value: Tensor, place: Place) -> Tensor:
    """The mean of every process's value."""
    if place.world > 1:
        value = value.clone()
        dist.all_reduce(value)
        value /= place.world
    return value


def _average(bucket: list[nn.Parameter], world: int) -> None:
    gradients = [p.grad for p in bucket if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= world
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
