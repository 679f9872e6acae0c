"""Prompts that are sequences of embeddings: a world's encoder, and models that attend to them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

import conceptspace as cs
from conceptspace.errors import UserError
from conceptspace.recording.evaluate import prompt_vectors
from conceptspace.seeding import generator
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.dataset import split_dataset

NAMES = ["red", "blue"], ["left", "right"]
SHAPE = (3, 5)


def encode(words: tuple[str, ...]) -> torch.Tensor:
    """One token for each word and one at the end, (3, 5): its letters from the front."""
    found = torch.zeros(SHAPE)
    for token, word in enumerate((*words, "end")):
        found[token, : len(word)] = torch.tensor([ord(letter) / 128 for letter in word])
    return found


def painted(hue: int, side: int) -> np.ndarray:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[:, 4 * side : 4 * side + 4, 2 * hue] = 200
    return image


def world(**options) -> cs.ArrayWorld:
    codes = [code for code in product((0, 1), (0, 1)) for _ in range(3)]
    hue, side = (list(column) for column in zip(*codes, strict=True))
    images = np.stack([painted(*code) for code in codes])
    factors, names = {"hue": hue, "side": side}, {"hue": NAMES[0], "side": NAMES[1]}
    options = {"held_out": [("blue", "right")], "encode": encode} | options
    return cs.ArrayWorld(images, factors, names=names, **options)


def judge(images: torch.Tensor) -> torch.Tensor:
    light = images.sum((1, 2, 3)).clamp(min=1e-6)
    blue, right = images[:, 2].sum((1, 2)), images[..., 4:].sum((1, 2, 3))
    return torch.stack([blue / light, right / light], dim=1).clamp(0, 1)


def echo(prompts: torch.Tensor, noise: object) -> torch.Tensor:
    """A model that reads the second token and answers with a picture."""
    assert prompts.shape[1:] == SHAPE
    side = (prompts[:, 1, 4] > 0).long()  # "right" has a letter more
    hue = (prompts[:, 0, 3] > 0).long()  # "blue" has four
    return torch.stack(
        [
            torch.from_numpy(painted(int(h), int(s))).permute(2, 0, 1) / 255.0
            for h, s in zip(hue, side, strict=True)
        ]
    )


def test_a_world_gives_its_sequences_with_their_shape():
    made = world()
    assert dict(made.columns) == {"prompt": slice(0, 5)}
    expected = encode(("blue", "left"))
    torch.testing.assert_close(made.class_mean("10"), expected)
    images, shown = made.draw("10", 2, generator(0, "test"))
    assert images.shape == (2, 3, 8, 8)
    torch.testing.assert_close(shown, expected.expand(2, *SHAPE))
    for name in made.space.classes:
        prompts = prompt_vectors(made, name, 3, seed=0)
        torch.testing.assert_close(prompts, made.class_mean(name).expand(3, *SHAPE))


def test_a_folder_gives_them_as_well(tmp_path):
    for hue, side in product((0, 1), (0, 1)):
        place = tmp_path / NAMES[0][hue] / NAMES[1][side]
        place.mkdir(parents=True)
        Image.fromarray(painted(hue, side)).save(place / "1.png")
    made = cs.FolderWorld(tmp_path, ("hue", "side"), resolution=8, encode=encode)
    torch.testing.assert_close(
        made.sample("01", 2, generator(0, "test"))[1], encode(("blue", "right"))
    )


def test_a_recorder_asks_with_them(tmp_path):
    made = world()
    with cs.Recorder(tmp_path / "run", made, judge, samples=2) as recorder:
        (event,) = recorder.checkpoint(1, echo)
    assert set(event.accuracies) == set(made.space.classes)
    assert min(event.accuracies.values()) == 1.0  # each prompt reached the model as it is


def test_a_unet_of_diffusers_attends_to_them(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(4, 8),
        layers_per_block=1,
        norm_num_groups=4,
        in_channels=3,
        out_channels=3,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=SHAPE[1],
        attention_head_dim=4,
    )
    scheduler = diffusers.DDIMScheduler(num_train_timesteps=20)
    model = cs.from_diffusers(unet, scheduler, steps=2, null=torch.zeros(SHAPE))
    shapes = []
    unet.register_forward_pre_hook(
        lambda _, args, given: shapes.append(tuple(given["encoder_hidden_states"].shape)),
        with_kwargs=True,
    )
    ways = [cs.Guidance([2.0])]
    with cs.Recorder(tmp_path / "run", world(), judge, ways, samples=2) as recorder:
        recorder.checkpoint(1, model)
    assert set(shapes) == {(2, *SHAPE), (4, *SHAPE)}  # as they are, and guided beside nothing
    wrong = world(encode=lambda words: encode(words)[:, :4])
    with (
        cs.Recorder(tmp_path / "other", wrong, judge, samples=2) as recorder,
        pytest.raises(UserError, match=r"attends to prompts \(batch, tokens, 5\), not \(2, 3, 4\)"),
    ):
        recorder.checkpoint(1, model)
    longer = world(encode=lambda words: encode(words).repeat(2, 1))
    with (
        cs.Recorder(tmp_path / "third", longer, judge, ways, samples=2) as recorder,
        pytest.raises(UserError, match=r"null prompt has shape \(3, 5\), and a prompt \(6, 5\)"),
    ):
        recorder.checkpoint(1, model)


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda words: encode(words)[: 2 + (words[0] == "red")], "pad prompts to one length"),
        (lambda words: (encode(words), torch.ones(3)), "tuple for .* without a mask"),
        (lambda words: encode(words)[None], r"\(1, 3, 5\) for .* a sequence \(tokens, width\)"),
        (lambda words: encode(words) / 0, "finite numbers"),
    ],
)
def test_ragged_sequences_and_masks_are_refused_in_one_sentence(encode, message):
    with pytest.raises(UserError, match=message) as refused:
        world(encode=encode)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (lambda c, n: torch.zeros(n, 2 + (c == "11"), 4), r"pad them to one length"),
        (lambda c, n: (torch.zeros(n, 2, 4), torch.ones(n, 2)), "without masks, not tuple"),
        (lambda c, n: {"input_ids": torch.zeros(n, 2)}, "without masks, not dict"),
        (lambda c, n: [torch.zeros(2, 4)] * n, "without masks, not 2 in a list"),
        (lambda c, n: torch.zeros(n, 2, 4) / 0, "hold NaN or infinite"),
    ],
)
def test_a_recorder_refuses_them_as_well(tmp_path, prompts, message):
    with pytest.raises(UserError, match=message) as refused:
        cs.Recorder(tmp_path / "run", world(), judge, samples=2, prompts=prompts)
    assert "\n" not in str(refused.value)


class Attending(cs.EditableModel):
    """Its condition embeddings are the prompts."""

    def embed_condition(self, h):
        return [h]

    def from_embeddings(self, embeddings, noise):
        return torch.zeros(len(embeddings[0]), 3, 8, 8)


def protocols(vectors: cs.SpacePrompts) -> list:
    moved = cs.LatentIntervention(vectors, "hue", "side", [1.0], [1.0])
    louder = cs.Overprompting(vectors, "hue", [2.0])
    return [moved, cs.MatchedControl(moved, "random"), louder]


@pytest.mark.parametrize("which", range(3))
def test_protocols_that_change_entries_of_vectors_refuse_sequences(tmp_path, which):
    made = world()
    with pytest.raises(UserError, match=r"ArrayWorld.columns names prompt; it needs a world whose"):
        protocols(made)[which].settings("11")
    message = r"that are vectors, and these are .*of shape .*3, 5\)"
    protocol = protocols(cs.SpacePrompts(made.space))[which]
    with (
        cs.Recorder(tmp_path / "run", made, judge, [protocol], samples=2) as recorder,
        pytest.raises(UserError, match=message) as refused,
    ):
        recorder.checkpoint(1, Attending())
    assert "\n" not in str(refused.value)


def test_the_built_in_network_refuses_them():
    made = world()
    shown = Conditioning(tuple(made.columns), made.columns)
    with pytest.raises(UserError, match=r"sequences of shape \(3, 5\); train a model of your own"):
        split_dataset(made, shown, images_per_class=2, validation_share=0.5, seed=0)
