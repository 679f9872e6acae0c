"""What the diffusion model needs of its network, and abilities that a network declares by its type.

Any ``torch.nn.Module`` that is called with (z_t, gamma_t, prompts) and predicts the noise will do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from conceptspace.models.generative import EditableCondition


class EmbeddingDenoiser(EditableCondition):
    """A network whose prompts enter as embeddings, which can be changed on the way: then there are
    latent interventions and patching.
    """

    @abstractmethod
    def denoise(self, z: Tensor, gamma: Tensor, conditions: Sequence[Tensor]) -> Tensor:
        """The predicted noise, like z, for given condition embeddings."""


class Accelerated(nn.Module):
    """A network that the engine may hurry: images with their channels innermost, wide layers in
    bfloat16, steps that are recorded once and replayed on a GPU. All others compute as they are.
    """

    def wide_layers(self) -> list[nn.Module]:
        """The layers in which nearly all of the arithmetic is, and which bear bfloat16."""
        raise NotImplementedError
