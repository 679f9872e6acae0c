"""Controls of an intervention: displacements as large that carry no concept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from conceptspace.models.generative import EditableCondition
from conceptspace.protocols.base import Protocol, Setting
from conceptspace.protocols.edits import Edit, Editing, edited
from conceptspace.protocols.intervention import FAMILY, intervention, moved, with_two_concepts
from conceptspace.protocols.registry import Context, family
from conceptspace.seeding import generator


@dataclass(frozen=True)
class MatchedControl:
    """Displacements as large as an intervention's that carry no concept.

    Every setting of the intervention has a setting here. In each block and for each prompt the
    embedding e moves by the same distance d as under the intervention,

    - "scaling": along itself, ``e (1 + d / |e|)``, which makes the prompt louder;
    - "random": along a direction drawn once for each setting and block.

    Args:
        intervention: whose displacements are matched.
        kind: see above.
        called: the control's name; by default ``latent-control-scaling`` or
            ``latent-control-random``.
    """

    intervention: Editing
    kind: Literal["scaling", "random"]
    called: str = ""

    @property
    def name(self) -> str:
        """Its name in tables and folders."""
        return self.called or f"latent-control-{self.kind}"

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """The intervention's settings, for OOD classes."""
        edits = self.intervention.edits(concept_class)
        return {n: edited(self._matched(n, edit), self.name) for n, edit in edits.items()}

    def _matched(self, setting: str, intervene: Edit) -> Edit:
        def edit(model: EditableCondition, blocks: list[Tensor]) -> list[Tensor]:
            source = generator(0, "random displacement", setting)
            edited = []
            for e, target in zip(blocks, intervene(model, blocks), strict=True):
                if self.kind == "scaling":
                    direction = torch.nn.functional.normalize(e, dim=1)
                else:
                    drawn = torch.randn(e.shape[1], generator=source).to(e)
                    direction = (drawn / drawn.norm()).expand_as(e)
                edited.append(e + (target - e).norm(dim=1, keepdim=True) * direction)
            return edited

        return edit


KINDS: dict[str, Literal["scaling", "random"]] = {
    "latent-control-scaling": "scaling",
    "latent-control-random": "random",
}


@family(
    "latent-control",
    names=lambda run: with_two_concepts(run, KINDS),
    usual=True,
    fixed=moved,
    controls=lambda name: FAMILY,
)
def latent_control(name: str, run: Context) -> Protocol:
    """A control of the published latent intervention, with its sweep."""
    return MatchedControl(intervention(run, "published"), KINDS[name])
