"""Record a U-Net of diffusers with its own scheduler."""

import torch
from diffusers import DDPMScheduler, UNet2DModel

import conceptspace as cs

space = cs.named_space(
    {"hue": ("red", "blue"), "side": ("left", "right")}, held_out=[("blue", "right")]
)
world = cs.SpacePrompts(space)


def patches(concept_class, count):
    """Images (count, 3, 8, 8) in [0, 1]: one half red or blue, the other black."""
    images = torch.zeros(count, 3, 8, 8)
    side = slice(4, 8) if concept_class[1] == "1" else slice(0, 4)
    images[:, 2 if concept_class[0] == "1" else 0, :, side] = 0.9
    return images


def judge(images):
    """Probability of the second value of each concept, (batch, 2): blue, right."""
    light = images.sum((1, 2, 3)) + 1e-6
    blue, right = images[:, 2].sum((1, 2)), images[..., 4:].sum((1, 2, 3))
    return torch.stack([blue / light, right / light], dim=1)


torch.manual_seed(0)
unet = UNet2DModel(
    sample_size=8,
    block_out_channels=(8, 16),
    layers_per_block=1,
    norm_num_groups=4,
    down_block_types=("DownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "UpBlock2D"),
    class_embed_type="identity",  # prompts are vectors as wide as the time embedding
)
scheduler = DDPMScheduler(num_train_timesteps=100)
embed = torch.nn.functional.pad  # (batch, 4) with zeros to (batch, 32)
optimizer = torch.optim.AdamW(unet.parameters(), lr=2e-3)


def prompts(concept_class, count):
    return embed(world.class_mean(concept_class).expand(count, -1), (0, 28))


model = cs.from_diffusers(unet, scheduler, steps=5, null=torch.zeros(32))
with cs.Recorder(
    "runs/unet", space, judge, [cs.Guidance([3.0])], samples=4, prompts=prompts, steps=(5, 10, 15)
) as recorder:
    for step in range(1, 16):
        name = space.train_classes[step % 3]
        image, noise = patches(name, 8) * 2 - 1, torch.randn(8, 3, 8, 8)
        t = torch.randint(100, (8,))
        shown = prompts(name, 8) * (torch.rand(8, 1) > 0.1)
        found = unet(scheduler.add_noise(image, noise, t), t, class_labels=shown).sample
        loss = (found - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in recorder.steps:
            print(step, recorder.checkpoint(step, model, loss=loss)[0].accuracies)
