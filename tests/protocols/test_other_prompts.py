"""Protocols that change a concept's entries, for worlds whose prompts have none."""

from __future__ import annotations

import pytest
import torch

from conceptspace.errors import UserError
from conceptspace.protocols.base import Protocol
from conceptspace.protocols.controls import MatchedControl
from conceptspace.protocols.intervention import LatentIntervention
from conceptspace.protocols.naive import Naive
from conceptspace.protocols.overprompting import Overprompting
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.dataset import Masking, split_dataset
from own_world import OwnWorld


class CaptionedWorld(OwnWorld):
    """Its prompts are five numbers of a caption that no concept owns."""

    def __init__(self) -> None:
        super().__init__()
        self.columns = {"caption": slice(0, 5)}

    def sample(self, concept_class, count, generator):
        return self.class_mean(concept_class).repeat(count, 1)

    def class_mean(self, concept_class):
        return torch.full((5,), 0.1 + int(concept_class, 2) / 5)


def intervention(world: OwnWorld, add: str = "hue", remove: str = "light") -> LatentIntervention:
    return LatentIntervention(world, add, remove, (1.0,), (1.0,))


MAKERS = {
    "overprompting-hue": lambda world: Overprompting(world, "hue", (2.0,)),
    "latent-intervention": intervention,
    "latent-control-scaling": lambda world: MatchedControl(intervention(world), "scaling"),
}


def refused(protocol: Protocol, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        protocol.settings("11")
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 250


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_protocol_says_what_it_needs_and_the_world_lacks(make):
    message = r"changes the entries of 'hue' in a prompt, and CaptionedWorld.columns names caption"
    refused(make(CaptionedWorld()), message)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_place_of_another_width(make):
    world = OwnWorld()
    world.columns = {"hue": slice(0, 3), "light": slice(3, 4)}
    refused(make(world), r"the 1 numbers of 'hue' .* OwnWorld.columns has 3 entries")


@pytest.mark.parametrize(
    "protocol",
    [
        Overprompting(OwnWorld(), "color", (2.0,)),
        intervention(OwnWorld(), add="color"),
        intervention(OwnWorld(), remove="color"),
    ],
)
def test_a_concept_that_the_world_has_not(protocol):
    refused(protocol, "changes the concept 'color', and OwnWorld has hue, light")


def test_what_needs_no_place_is_still_asked():
    assert set(Naive().settings("11")) == {""}
    world = CaptionedWorld()
    train, _ = split_dataset(
        world,
        Conditioning(("caption",), world.columns),
        images_per_class=2,
        validation_share=0.0,
        seed=0,
    )
    assert train.h.shape == (6, 5)


def test_masking_a_concept_that_prompts_do_not_show():
    world = CaptionedWorld()
    with pytest.raises(UserError, match="'hue' has no place in the prompts, which have caption"):
        split_dataset(
            world,
            Conditioning(("caption",), world.columns),
            images_per_class=2,
            validation_share=0.0,
            seed=0,
            masking=Masking("01", "hue", 0.5),
        )
