"""Settings of the shapes world."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from conceptspace.errors import UserError
from conceptspace.registry import located
from conceptspace.worlds.older import CELEBA, OWN, OlderData

ConceptName = Literal["shape", "x", "y", "color", "size", "background"]


class ShapesData(OlderData):
    """One object on a background, rendered (paper section 3.1, App. A.1)."""

    kind: Literal["shapes"] = "shapes"
    """Rendered shapes."""
    concepts: tuple[ConceptName, ...] = ("color", "size")
    """The concepts that vary, in the order of the bits of a class."""
    color_separation: float = Field(0.4, gt=0, le=1)
    """Distance of the red from the blue class mean, per channel."""
    color_spread: float = Field(1 / 8, ge=0, le=0.5)
    """Half width of each color class, as a share of the separation."""
    size_separation: float = Field(0.4, gt=0, le=2)
    """Distance of the large from the small class mean, in half image widths."""
    size_spread: float = Field(3 / 8, ge=0, le=0.5)
    """Half width of each size class, as a share of the separation."""
    background_separation: float = Field(0.4, gt=0, le=1)
    """Distance of the bright from the dark background, where it is a concept."""
    background_spread: float = Field(1 / 8, ge=0, le=0.5)
    """Half width of each background class, as a share of the separation."""
    position_separation: float = Field(0.5, gt=0, le=2)
    """Distance of left from right, top from bottom, where position is a concept."""
    position_spread: float = Field(1 / 8, ge=0, le=0.5)
    """Half width of each position class, as a share of the separation."""
    position_range: float = Field(0.5, ge=0, le=1)
    """Largest distance of the object from the center along x and y."""
    edge_blur: float = Field(1.0, ge=0, le=32)
    """Gaussian softening of the object's edge, in 1/32 of the image width."""
    pixel_noise: float = Field(0.001, ge=0, le=1)
    """Standard deviation of the noise on each pixel."""
    conditioned: tuple[ConceptName, ...] = ()
    """Variables that h shows to the model; empty: the concepts."""
    masked_class: str = ""
    """Class whose prompts are underspecified, e.g. "01"; empty: none."""
    masked_concept: ConceptName = "color"
    """The concept whose entries of h are masked in that class."""
    masked_share: float = Field(0.0, ge=0, le=1)
    """Share alpha of that class's training images whose prompts are masked."""

    default: ClassVar[bool] = True
    unstored: ClassVar[tuple[str, ...]] = (*OWN, *CELEBA)
    pages_render: ClassVar[bool] = True

    def world(self) -> Any:
        """The data-generating process.

        Raises:
            UserError: concepts or classes overlap or leave their limits; the masked class is not
                trained.
        """
        from conceptspace.worlds.shapes.building import shapes_world

        return shapes_world(self)

    def check(self) -> None:
        """Masking has to change something.

        Raises:
            UserError: the masked concept is not shown to the model anyway.
        """
        shown = self.variables()
        if self.masked() and self.masked_concept not in shown:
            raise UserError(
                f"data.masked_concept = {self.masked_concept!r} is not among the variables that "
                "the model is conditioned on, so masking it changes nothing; they are "
                f"{', '.join(shown)}"
            )

    def variables(self) -> tuple[str, ...]:
        """The concepts, or the variables that are named."""
        return self.conditioned or self.concepts

    def masked(self) -> tuple[str, str, float] | None:
        """The masked share of a class, if there is one."""
        if not self.masked_class or self.masked_share == 0:
            return None
        return self.masked_class, self.masked_concept, self.masked_share

    def judge(self, world: Any) -> Any:
        """The one that fits the renderer, of concepts with two values."""
        if max(world.space.sizes) > 2:
            return None
        return located("conceptspace.judges.judge:ShapesJudge", "the judge of shapes")(world)

    def judge_memory(self) -> int:
        """Bytes of its masks, one for every place and size, and of their errors."""
        from conceptspace.worlds.shapes.readout import templates_memory

        return templates_memory(self.world())
