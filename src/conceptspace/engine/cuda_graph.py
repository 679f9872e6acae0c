"""Record what a function launches on a GPU once, and replay it: no more waiting for Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

WARM_UP = 3
"""Calls before the recording, in which libraries choose their kernels and allocate."""


@dataclass
class _Recording:
    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    outputs: Any


class Replayed:
    """A function of tensors; on a CUDA device it is recorded as a CUDA graph for each input shape.

    The function has to do the same work at every call: no decision may depend on a value. Results
    are copies. Where recording fails the function itself is called, and ``note`` tells why.

    Args:
        function: of tensors and lists of tensors, which gives the like.
        device: of the tensors.
        state: gives the tensors that the function changes in place; warming up leaves them, and the
            device's random numbers, as they were.
        aside: whether the function itself is called this time, e.g. because hooks want to see what
            it does.

    Attributes:
        note: empty, or why nothing is replayed on a CUDA device.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        device: torch.device,
        state: Callable[[], Sequence[Tensor]] = list,
        aside: Callable[[], bool] = lambda: False,
    ) -> None:
        self.function = function
        self.device = device
        self.active = device.type == "cuda"
        self.state = state
        self.aside = aside
        self.note = ""
        self.recordings: dict[object, _Recording] = {}

    def __call__(self, *arguments: Any) -> Any:
        if not self.active or self.aside():
            return self.function(*arguments)
        flat, structure = tree_flatten(arguments)
        key = (structure, tuple((t.shape, t.dtype, t.stride()) for t in flat))
        if key not in self.recordings:
            try:
                self.recordings[key] = self._record(flat, structure)
            except RuntimeError as error:
                self.active = False
                self.note = f"CUDA graphs are not used: {str(error).splitlines()[0]}"
                return self.function(*arguments)
        recording = self.recordings[key]
        for static, given in zip(recording.inputs, flat, strict=True):
            static.copy_(given)
        recording.graph.replay()
        return tree_map(torch.clone, recording.outputs)

    def _record(self, flat: list[Tensor], structure: Any) -> _Recording:
        inputs = [t.clone(memory_format=torch.preserve_format) for t in flat]
        arguments = tree_unflatten(inputs, structure)
        before = [t.detach().clone() for t in self.state()]
        try:
            side = torch.cuda.Stream()
            random = torch.cuda.get_rng_state(self.device)
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    self.function(*arguments)
            torch.cuda.current_stream().wait_stream(side)
            torch.cuda.set_rng_state(random, self.device)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                outputs = self.function(*arguments)
        finally:
            with torch.no_grad():
                for tensor, value in zip(self.state(), before, strict=True):
                    tensor.copy_(value)
        return _Recording(graph, inputs, outputs)
