"""Data-parallel training in processes started by torchrun, each with a part of the batch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET = 32_000_000  # values averaged in one operation


@dataclass(frozen=True)
class Place:
    """This process's rank among `world` processes, and the device that it trains on."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device('cpu'))

    @property
    def first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0


ALONE = Place()


def join(device: str = '') -> Place:
    """Join the process group if torchrun started this process; call `leave` when done.

    device: 'cpu' or 'cuda', '' for a GPU if there is one. Raises ValueError for 'cuda' without GPU.
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
    """Leave the process group."""
    if place.world > 1 and dist.is_initialized():
        dist.destroy_process_group()


def wait_for_first(place: Place) -> None:
    """Wait for all processes, because the first may still be writing files."""
    if place.world > 1:
        dist.barrier()


def average_gradients(parameters: Iterable[nn.Parameter], place: Place) -> None:
    """Average the gradients of all processes; a missing gradient counts as zero."""
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
    """The mean of a value over all processes."""
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
