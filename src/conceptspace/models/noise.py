"""Noise of a batch of samples, each with a stream of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from conceptspace.seeding import generator


class Noise:
    """Standard normal noise that depends on the seed, the class and the sample alone.

    So sample i of a class starts from the same noise at every checkpoint and under every protocol,
    however many samples there are and however they are cut into batches. Call it with the shape of
    one sample, ``noise(3, 16, 16)``, to get a tensor (samples, 3, 16, 16); every further call goes
    on in the streams.

    >>> two, one = Noise(0, "11", [0, 1])(3), Noise(0, "11", [1])(3)
    >>> bool((two[1] == one[0]).all())
    True

    Args:
        seed: of the run.
        concept_class: that is asked for.
        samples: indices of the samples of the batch.
    """

    def __init__(self, seed: int, concept_class: str, samples: Sequence[int]) -> None:
        self.generators = [generator(seed, "sampling", concept_class, i) for i in samples]

    def __len__(self) -> int:
        return len(self.generators)

    def __call__(self, *shape: int) -> Tensor:
        """The next numbers, shape (samples, *shape), float32 on the CPU."""
        draws = [
            torch.randn(shape, generator=source, dtype=torch.float32) for source in self.generators
        ]
        return torch.stack(draws)
