"""Real models and schedulers of diffusers, as small as they come."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from conceptspace.errors import UserError
from conceptspace.models.adapters.diffusers import from_diffusers, from_pipeline
from conceptspace.models.generative import EditableModel, Guidable
from conceptspace.models.noise import Noise
from conceptspace.protocols.edits import Edited
from later import Later

diffusers = Later("diffusers", "the extra conceptspace[diffusers] is not installed")

SMALL = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
}


def labelled(**changes):
    torch.manual_seed(0)
    blocks = {"down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2}
    return diffusers.UNet2DModel(**(SMALL | blocks | {"num_class_embeds": 5} | changes))


def attending(channels=3):
    torch.manual_seed(0)
    return diffusers.UNet2DConditionModel(
        **SMALL,
        in_channels=channels,
        out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=6,
        attention_head_dim=4,
    )


def noise(samples: int = 2) -> Noise:
    return Noise(0, "01", range(samples))


LABELS = torch.tensor([1, 3])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    "name",
    [
        "DDPMScheduler",
        "DDIMScheduler",
        "DPMSolverMultistepScheduler",
        "EulerDiscreteScheduler",
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchHeunDiscreteScheduler",
    ],
)
def test_the_library_own_loop_makes_the_same_images(name):
    unet, scheduler = labelled(), getattr(diffusers, name)(num_train_timesteps=50)
    made = from_diffusers(unet, scheduler, steps=4)(LABELS, noise())
    assert made.shape == (2, 3, 8, 8)
    own = type(scheduler).from_config(scheduler.config)
    own.set_timesteps(4)
    source, flow = noise(), name.startswith("FlowMatch")
    x = source(3, 8, 8) * (1.0 if flow else own.init_noise_sigma)
    with torch.no_grad():
        for t in own.timesteps:
            scaled = x if flow else own.scale_model_input(x, t)
            output = unet(scaled, t, class_labels=LABELS).sample
            x = own.step(output, t, x, generator=source.generators).prev_sample
    torch.testing.assert_close(made, (x / 2 + 0.5).clamp(0, 1))


def test_a_sample_does_not_depend_on_its_batch_and_the_scheduler_stays():
    unet, scheduler = labelled(), diffusers.DDPMScheduler(num_train_timesteps=50)
    before = scheduler.timesteps.clone()
    model = from_diffusers(unet.train(), scheduler, steps=4)
    both = model(LABELS, noise())
    alone = model(LABELS[1:], Noise(0, "01", [1]))
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=0)
    assert torch.equal(scheduler.timesteps, before)
    assert unet.training


def test_a_scheduler_with_other_betas_than_its_config_is_taken_as_it_is():
    unet, scheduler = labelled(), diffusers.DDIMScheduler(num_train_timesteps=50)
    plain = from_diffusers(unet, scheduler, steps=4)(LABELS, noise())
    scheduler.alphas_cumprod = torch.cumprod(1 - 0.3 * scheduler.betas, 0)
    changed = from_diffusers(unet, scheduler, steps=4)
    made = changed(LABELS, noise())
    assert not torch.allclose(made, plain, atol=0.01)
    assert torch.equal(changed(LABELS, noise()), made)  # also after it was used


def test_labels_change_the_images_and_a_null_label_guides():
    model = from_diffusers(
        labelled(), diffusers.DDIMScheduler(num_train_timesteps=50), steps=3, null=torch.tensor(4)
    )
    assert isinstance(model, Guidable)
    assert not isinstance(model, EditableModel)
    plain = model(LABELS, noise())
    assert not torch.equal(plain, model(LABELS + 1, noise()))
    torch.testing.assert_close(model.guided(1.0)(LABELS, noise()), plain)
    nothing = model(torch.full_like(LABELS, 4), noise())
    torch.testing.assert_close(model.guided(0.0)(LABELS, noise()), nothing)
    assert not torch.allclose(model.guided(5.0)(LABELS, noise()), plain)


def test_vectors_go_where_labels_are_embedded_as_they_are():
    unet = labelled(num_class_embeds=None, class_embed_type="identity")
    model = from_diffusers(unet, diffusers.DDIMScheduler(num_train_timesteps=50), steps=2)
    vectors = torch.randn(2, 32)
    assert not torch.equal(model(vectors, noise()), model(-vectors, noise()))


def test_embeddings_can_be_edited():
    model = from_diffusers(
        attending(),
        diffusers.DDIMScheduler(num_train_timesteps=50),
        steps=2,
        null=torch.zeros(4, 6),
    )
    assert isinstance(model, EditableModel)
    assert isinstance(model, Guidable)
    h = torch.randn(2, 4, 6)
    edited = Edited(model, lambda blocks: [-block for block in blocks])
    made = model.from_embeddings(edited.embed_condition(h), noise())
    torch.testing.assert_close(made, model(-h, noise()))


def test_latents_are_decoded():
    model = from_diffusers(
        labelled(),
        diffusers.DDIMScheduler(num_train_timesteps=50),
        steps=2,
        decode=lambda z: z.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3),
    )
    assert model(LABELS, noise()).shape == (2, 3, 16, 16)


def test_a_pipeline_keeps_its_own_loop():
    torch.manual_seed(0)
    transformer = diffusers.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=4,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        sample_size=4,
        patch_size=2,
        norm_num_groups=2,
        num_embeds_ada_norm=1000,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8,), latent_channels=4, norm_num_groups=4, sample_size=4
    )
    pipeline = diffusers.DiTPipeline(transformer, vae, diffusers.DDIMScheduler())
    model = from_pipeline(
        pipeline, lambda h: {"class_labels": h.tolist(), "num_inference_steps": 2}
    )
    made = model(LABELS, noise())
    assert made.shape == (2, 3, 4, 4)
    assert 0 <= made.min() <= made.max() <= 1
    torch.testing.assert_close(model(LABELS, noise()), made)
    assert not torch.equal(made, model(LABELS, Noise(1, "01", range(2))))


def test_a_pipeline_without_prompts():
    """Unconditional: only how many images there are is asked for."""
    unet = labelled(num_class_embeds=None)
    pipeline = diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(num_train_timesteps=20))
    asked = {"num_inference_steps": 2}
    made = from_pipeline(pipeline, lambda h: asked | {"batch_size": len(h)})(LABELS, noise())
    bare = from_diffusers(unet, diffusers.DDPMScheduler(num_train_timesteps=20), steps=2)
    bare = replace(bare, predict=lambda unet, x, t, condition: unet(x, t).sample)
    torch.testing.assert_close(made, bare(LABELS, noise()), atol=1e-5, rtol=0)


def test_a_pipeline_leaves_the_training_its_scheduler_and_its_mode():
    unet = labelled(num_class_embeds=None).train()
    scheduler = diffusers.DDIMScheduler(num_train_timesteps=20)
    pipeline = diffusers.DDPMPipeline(unet, scheduler)
    modes = []
    unet.register_forward_pre_hook(lambda module, inputs: modes.append(module.training))
    asked = {"num_inference_steps": 2}
    from_pipeline(pipeline, lambda h: asked | {"batch_size": len(h)})(LABELS, noise())
    assert modes == [False, False]
    assert unet.training
    assert pipeline.scheduler is scheduler
    assert len(scheduler.timesteps) == 20


@pytest.fixture(scope="module")
def painter():
    """A StableDiffusionPipeline of some thousand weights, with a tokenizer of letters."""
    transformers = pytest.importorskip("transformers")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    torch.manual_seed(0)
    config = transformers.CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=6,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=10,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    latents = {"latent_channels": 4, "norm_num_groups": 4, "sample_size": 8}
    return diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(block_out_channels=(8,), **latents),
        text_encoder=transformers.CLIPTextModel(config),
        tokenizer=transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=10),
        unet=attending(4),
        scheduler=diffusers.DDIMScheduler(
            num_train_timesteps=20, clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


STEPS = {"num_inference_steps": 2, "guidance_scale": 3.0}


def test_a_pipeline_with_texts_is_the_same_as_with_their_embeddings(painter):
    texts = ["red cube", "blue"]
    made = from_pipeline(painter, lambda texts: {"prompt": texts, **STEPS})(texts, noise())
    assert made.shape == (2, 3, 8, 8)
    other = from_pipeline(painter, lambda texts: {"prompt": texts, **STEPS})(texts[::-1], noise())
    assert not torch.equal(made, other)
    shown, nothing = painter.encode_prompt(texts, "cpu", 1, True)
    assert shown.shape == (2, 10, 6)
    by_embedding = from_pipeline(
        painter, lambda h: {"prompt_embeds": h, "negative_prompt_embeds": nothing, **STEPS}
    )
    torch.testing.assert_close(by_embedding(shown, noise()), made)


def test_the_parts_of_a_pipeline_are_the_pipeline(painter):
    """U-Net, scheduler and decoder on their own, with the text's embeddings and guidance."""
    texts = ["red cube", "blue"]
    pipeline = from_pipeline(painter, lambda texts: {"prompt": texts, **STEPS})
    with torch.no_grad():
        shown, nothing = painter.encode_prompt(texts, "cpu", 1, True)
    scale = painter.vae.config.scaling_factor
    model = from_diffusers(
        painter.unet,
        painter.scheduler,
        steps=2,
        null=nothing[0],
        decode=lambda z: painter.vae.decode(z / scale).sample,
    ).guided(3.0)
    expected = pipeline(texts, noise())
    torch.testing.assert_close(model(shown, noise()), expected, atol=1e-4, rtol=0)


def test_sequences_belong_to_models_that_attend():
    model = from_diffusers(labelled(), diffusers.DDIMScheduler(), steps=2)
    with pytest.raises(UserError, match=r"sequences of shape \(4, 6\), to which a UNet2DCond"):
        model(torch.zeros(2, 4, 6), noise())


def test_what_is_none_of_these_is_refused():
    scheduler = diffusers.DDPMScheduler()
    with pytest.raises(UserError, match="takes a UNet2DModel or a UNet2DConditionModel, not a Lin"):
        from_diffusers(torch.nn.Linear(1, 1), scheduler)
    with pytest.raises(UserError, match="a scheduler of diffusers is needed, not a int"):
        from_diffusers(labelled(), 3)
    with pytest.raises(UserError, match="give shape="):
        from_diffusers(labelled(sample_size=None), scheduler)
    with pytest.raises(UserError, match="a pipeline of diffusers is needed"):
        from_pipeline(labelled(), dict)
    with pytest.raises(UserError, match="encode the texts first"):
        from_diffusers(labelled(), scheduler)(["red"], noise(1))


def test_a_vector_is_one_token_and_a_number_may_stand_for_nothing():
    scheduler, h = diffusers.DDIMScheduler(num_train_timesteps=20), torch.rand(2, 6)
    model = from_diffusers(attending(), scheduler, steps=2)
    assert torch.equal(model(h, noise()), model(h[:, None], noise()))
    made = [
        from_diffusers(labelled(), scheduler, steps=2, null=null).guided(2.0)(LABELS, noise())
        for null in (4, torch.tensor(4))
    ]
    assert torch.equal(*made)
