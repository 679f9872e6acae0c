"""Zero-shot judges: an encoder whose answer is known, and a real CLIP with a real tokenizer."""

from __future__ import annotations

import json
import math

import pytest
import torch

import conceptspace as cs
from conceptspace.errors import UserError
from conceptspace.judges.function import checked_judge, judge_in_words
from conceptspace.judges.zero_shot import BATCH, ZeroShot, from_clip

SPACE = cs.named_space({"hue": ("red", "green", "blue"), "light": ("dark", "bright")}, [])
PLACES = {"red": 0, "green": 1, "blue": 2}
TEXTS = {"hue": ["red", "green", "blue"], "light": [["dark", "black"], "white"]}


def text_embeddings(texts: list[str]) -> torch.Tensor:
    """Axes 0 to 2 for the colors; dark, white and nothing on axes of their own."""
    places = {**PLACES, "dark": 3, "black": 4, "white": 5, "nothing": 6}
    return 7 * torch.eye(7)[[places[text] for text in texts]]


def image_embeddings(images: torch.Tensor) -> torch.Tensor:
    """Mean of each channel, a constant for dark and black, the overall mean, and a corner."""
    color = images.mean((2, 3))
    rest = torch.full((len(images), 2), 0.5)
    return torch.cat([color, rest, color.mean(1, keepdim=True), images[:, :1, 0, 0]], dim=1)


def painted(*colors: tuple[float, float, float]) -> torch.Tensor:
    images = torch.tensor(colors)[:, :, None, None].expand(-1, -1, 4, 4).clone()
    images[:, :, 0, 0] = 0.0
    return images


def test_the_probabilities_are_the_formula():
    judge = ZeroShot(image_embeddings, text_embeddings, TEXTS, scale=3.0)
    images = painted((0.9, 0.1, 0.4), (0.0, 0.0, 0.8))
    judged = checked_judge(judge, SPACE.concepts)(images)
    u = image_embeddings(images)
    u = u / u.norm(dim=1, keepdim=True)
    torch.testing.assert_close(judged.probabilities[:, 0], (3 * u[:, :3]).softmax(1))
    dark = (u[:, 3] + u[:, 4]) / math.sqrt(2)  # the mean direction of two texts
    white = torch.sigmoid(3 * (u[:, 5] - dark))
    torch.testing.assert_close(judged.probabilities[:, 1, 1], white)
    assert judged.valid is None
    assert judged.probabilities[:, 0].argmax(1).tolist() == [0, 2]


def test_lengths_of_embeddings_and_batches_do_not_matter():
    judge = ZeroShot(image_embeddings, text_embeddings, TEXTS)
    longer = ZeroShot(lambda images: 5 * image_embeddings(images), text_embeddings, TEXTS)
    images = torch.rand(BATCH + 3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    for name, shares in judge(images).items():
        torch.testing.assert_close(longer(images)[name], shares)
        torch.testing.assert_close(judge(images[-1:])[name], shares[-1:])


def test_other_channels():
    judge = ZeroShot(image_embeddings, text_embeddings, TEXTS)
    grey = torch.full((1, 1, 4, 4), 0.7)
    torch.testing.assert_close(judge(grey)["hue"], judge(grey.expand(-1, 3, -1, -1))["hue"])
    clear = torch.cat([torch.zeros(1, 3, 4, 4), torch.full((1, 1, 4, 4), 0.3)], dim=1)
    torch.testing.assert_close(judge(clear)["hue"], judge(grey)["hue"])


def test_what_is_valid():
    images = painted((0.9, 0.1, 0.1), (0.2, 0.2, 0.2))
    images[1, 0, 0, 0] = 1.0  # the corner says nothing
    by_text = ZeroShot(image_embeddings, text_embeddings, TEXTS, invalid=["nothing"])
    assert by_text(images)[1].tolist() == [True, False]
    u = torch.nn.functional.normalize(image_embeddings(images), dim=1)
    dark = (u[:, 3] + u[:, 4]) / math.sqrt(2)
    nearest = torch.stack([*u[:, :3].T, dark, u[:, 5]]).amax(0)
    assert nearest[0] > nearest[1] + 0.01
    least = nearest.mean().item()
    by_cosine = ZeroShot(image_embeddings, text_embeddings, TEXTS, least=least)
    assert by_cosine(images)[1].tolist() == [True, False]
    both = ZeroShot(image_embeddings, text_embeddings, TEXTS, invalid=["nothing"], least=1.0)
    assert both(images)[1].tolist() == [False, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"texts": {}}, "needs texts"),
        ({"texts": {"hue": "red"}}, "'hue' needs a list with a text for each of its values"),
        ({"texts": {"hue": ["red"]}}, "two or more"),
        ({"texts": {"hue": ["red", ""]}}, "a list of texts, belongs to 'hue'"),
        ({"texts": {"hue": ["red", []]}}, "a list of texts, belongs to 'hue'"),
        ({"scale": 0.0}, "above 0"),
        ({"scale": float("nan")}, "above 0"),
        ({"least": 2.0}, "a cosine from -1 to 1, not 2"),
        ({"invalid": [""]}, "belongs to 'what is invalid'"),
        ({"encode_texts": lambda texts: torch.zeros(len(texts), 3)}, "zero, NaN or infinite"),
        ({"encode_texts": lambda texts: torch.ones(3)}, r"\(number of texts, width\), not \(3,\)"),
        ({"encode_texts": lambda texts: [1.0]}, "not list"),
    ],
)
def test_what_is_no_judge_is_refused_at_once(options, message):
    given = {"encode_images": image_embeddings, "encode_texts": text_embeddings, "texts": TEXTS}
    with pytest.raises(UserError, match=message):
        ZeroShot(**(given | options))


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda images: torch.ones(len(images), 6), "width 6, and the text encoder of 7"),
        (lambda images: torch.ones(1, 7), r"\(number of images, width\), not \(1, 7\)"),
        (lambda images: images.mean((2, 3)) * float("inf"), "zero, NaN or infinite"),
        (lambda images: torch.ones(len(images), 7, dtype=torch.int64), "floating-point"),
    ],
)
def test_an_image_encoder_is_looked_at_when_it_answers(encode, message):
    judge = ZeroShot(encode, text_embeddings, TEXTS)
    with pytest.raises(UserError, match=message):
        judge(painted((0.9, 0.1, 0.4), (0.0, 0.0, 0.8)))


def test_texts_that_do_not_fit_the_space_are_refused():
    short = {**TEXTS, "hue": ["red", "green"]}
    judged = checked_judge(ZeroShot(image_embeddings, text_embeddings, short), SPACE.concepts)
    with pytest.raises(UserError, match=r"concept hue, gives .* of shape \(1, 2\)"):
        judged(painted((0.9, 0.1, 0.4)))


def test_a_run_says_by_which_texts_it_was_judged(tmp_path):
    judge = ZeroShot(image_embeddings, text_embeddings, TEXTS, invalid=["nothing"], least=-0.5)
    other = ZeroShot(image_embeddings, text_embeddings, {**TEXTS, "light": ["black", "white"]})
    assert judge_in_words(judge) != judge_in_words(other)

    def model(prompts, noise):
        return painted((0.9, 0.1, 0.4)).expand(len(prompts), -1, -1, -1)

    with cs.Recorder(tmp_path / "run", SPACE, judge, samples=2) as recorder:
        recorder.checkpoint(1, model)
    information = json.loads((tmp_path / "run" / "run.json").read_text())
    assert information["judge"].startswith("zero-shot ")
    assert information["texts"]["light"] == [["dark", "black"], ["white"]]
    assert (information["invalid"], information["least"], information["scale"]) == (
        ["nothing"],
        -0.5,
        100.0,
    )
    table = cs.Run(tmp_path / "run").trajectory()
    red = table[(table["concept"] == "hue") & (table["concept_class"] == "00")]["accuracy"]
    assert red.item() > 0.99
    with (
        pytest.raises(UserError, match="judge"),
        cs.Recorder(tmp_path / "run", SPACE, other, samples=2),
    ):
        pass


@pytest.fixture(scope="module")
def clip():
    """A CLIP of some thousand weights, with a tokenizer of letters."""
    transformers = pytest.importorskip("transformers")
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[])
    side = {"height": 8, "width": 8}
    pixels = CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size=side)
    small = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        text_config={
            **small,
            "vocab_size": len(words),
            "max_position_embeddings": 12,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        vision_config={**small, "image_size": 8, "patch_size": 4},
        projection_dim=6,
    )
    model = transformers.CLIPModel(config)
    return model, transformers.CLIPProcessor(image_processor=pixels, tokenizer=tokenizer)


IMAGES = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def test_a_real_clip_says_what_its_own_forward_pass_says(clip):
    model, processor = clip
    texts = {"hue": ["red", "green", "a blue"], "light": ["dark", "bright"]}
    found = checked_judge(from_clip(model, processor, texts), SPACE.concepts)(IMAGES)
    pictures = [(image.permute(1, 2, 0) * 255).round().byte().numpy() for image in IMAGES]
    for place, some in enumerate(texts.values()):
        inputs = processor(text=some, images=pictures, padding=True, return_tensors="pt")
        with torch.no_grad():
            own = model(**inputs).logits_per_image.softmax(1)
        torch.testing.assert_close(found.probabilities[:, place, : len(some)], own)
    assert found.probabilities.std(0).max() > 1e-4  # images differ


def test_a_text_that_does_not_fit_is_not_cut_off(clip):
    with pytest.raises(UserError, match="'abcdefghijklm' has more than the 12 tokens that fit"):
        from_clip(*clip, {"hue": ["red", "abcdefghijklm"]})


def test_only_models_of_its_kind(clip):
    with pytest.raises(UserError, match=r"takes a CLIPModel .* Linear lacks get_image_features"):
        from_clip(torch.nn.Linear(1, 1), clip[1], TEXTS)
