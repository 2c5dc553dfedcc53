"""Finds operations that a CUDA graph cannot capture, without a GPU, and counts kernel launches.

The network runs on the meta device in place of a GPU: nothing is computed, but every operation is
seen. Rejected is what would end a capture or freeze a value in it: a tensor made from Python
numbers, a copy to or from the host, a value read by Python, a synchronisation.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

FROM_NUMBERS = {
    torch.tensor,
    torch.as_tensor,
    torch.from_numpy,
    torch.Tensor.new_tensor,
    torch.Tensor.item,
    torch.Tensor.tolist,
    torch.Tensor.cpu,
    torch.Tensor.numpy,
    torch.Tensor.__bool__,
    torch.Tensor.__float__,
    torch.Tensor.__int__,
    torch.Tensor.pin_memory,
}
HOST_READS = {'aten::_local_scalar_dense', 'aten::item', 'aten::nonzero', 'aten::is_nonzero'}
NO_LAUNCH = {
    'aten::detach', 'aten::alias', 'aten::_unsafe_view', 'aten::empty', 'aten::empty_strided',
    'aten::empty_like', 'aten::new_empty', 'aten::new_empty_strided', 'aten::lift_fresh',
    'aten::dropout', 'prim::device',
}  # fmt: skip


class NotCapturableError(AssertionError):
    """Raised for an operation that ends a capture, or that a replay would not repeat."""


class _Functions(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in FROM_NUMBERS:
            raise NotCapturableError(f'{func.__name__}: creates or reads host memory in a frame')
        return func(*args, **(kwargs or {}))


class CaptureLint(TorchDispatchMode):
    """`with CaptureLint() as lint: frame()` raises NotCapturableError; lint.launches counts."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: Counter[str] = Counter()
        self._functions = _Functions()

    def __enter__(self):
        self._functions.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._functions.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        tensors = [a for a in torch.utils._pytree.tree_leaves((args, kwargs or {}))
                   if isinstance(a, torch.Tensor)]  # fmt: skip
        if name in HOST_READS:
            raise NotCapturableError(f'{name}: the host waits for a value')
        try:
            out = func(*args, **(kwargs or {}))
        except NotImplementedError as error:  # the shape depends on the data, or it is copied
            raise NotCapturableError(f'{name}: {str(error).splitlines()[0]}') from None
        made = [a for a in torch.utils._pytree.tree_leaves(out) if isinstance(a, torch.Tensor)]
        devices = {t.device.type for t in (*tensors, *made)}
        if len(devices) > 1 or 'cpu' in devices:
            raise NotCapturableError(f'{name}: between {" and ".join(sorted(devices))}')
        storages = {t.untyped_storage()._cdata for t in tensors}
        viewed = func.is_view and all(t.untyped_storage()._cdata in storages for t in made)
        if not viewed and name not in NO_LAUNCH:
            self.launches[name] += 1
        return out

    @property
    def total(self) -> int:
        """A lower bound of the kernel launches of a frame."""
        return sum(self.launches.values())
