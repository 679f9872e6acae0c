"""Record models of your own: in a plain loop, inside Lightning, inside accelerate."""

from pathlib import Path

import torch
from torch import nn

import conceptspace as cs
from conceptspace.presentation.page import write_page

space = cs.named_space(
    {"hue": ("red", "blue"), "side": ("left", "right")}, held_out=[("blue", "right")]
)
world = cs.SpacePrompts(space)  # one-hot prompts: (red, blue, left, right)


def patches(concept_class, count):
    """Images (count, 3, 6, 6) in [0, 1]: one half red or blue, the other black."""
    images = torch.zeros(count, 3, 6, 6)
    side = slice(3, 6) if concept_class[1] == "1" else slice(0, 3)
    images[:, 2 if concept_class[0] == "1" else 0, :, side] = 0.9
    return images


def judge(images):
    """Probability of the second value of each concept, (batch, 2): blue, right."""
    light = images.sum((1, 2, 3)) + 1e-6
    blue, right = images[:, 2].sum((1, 2)), images[..., 3:].sum((1, 2, 3))
    return torch.stack([blue / light, right / light], dim=1)


torch.manual_seed(0)
network = nn.Sequential(nn.Linear(108 + 1 + 4, 128), nn.SiLU(), nn.Linear(128, 108))
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)


def velocity(x, t, prompts):
    inputs = torch.cat([x.flatten(1), t[:, None], prompts], dim=1)
    return network(inputs).view_as(x)


model = cs.from_flow(velocity, shape=(3, 6, 6), steps=8, null=torch.zeros(4))
protocols = [cs.Overprompting(world, "hue", (1.5, 2.5)), cs.Guidance([2.0, 4.0])]
pictures = {name: patches(name, 1)[0] for name in space.classes}
with cs.Recorder("runs/mine", world, judge, protocols, samples=8, pictures=pictures) as recorder:
    for step in range(1, 201):
        name = space.train_classes[step % 3]
        prompts = world.class_mean(name).expand(16, -1) * (torch.rand(16, 1) > 0.1)
        image, noise, t = patches(name, 16) * 2 - 1, torch.randn(16, 3, 6, 6), torch.rand(16)
        x = torch.lerp(noise, image, t[:, None, None, None])
        loss = (velocity(x, t, prompts) - (image - noise)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in recorder.steps:  # 4, 16, 36, 64, 100, 144, 196
            recorder.checkpoint(step, model, loss=loss)

# The page.
for finding in write_page([cs.Run(Path("runs/mine"))], Path("runs/mine/report.html")):
    print(finding.text)


# Inside Lightning.
import lightning.pytorch as pl
from torch.utils.data import DataLoader


class Velocity(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(108 + 1 + 4, 64), nn.SiLU(), nn.Linear(64, 108))

    def forward(self, x, t, prompts):
        return self.layers(torch.cat([x.flatten(1), t[:, None], prompts], dim=1)).view_as(x)


def flow_loss(velocity, image, prompts):
    noise, t = torch.randn_like(image), torch.rand(len(image))
    x = torch.lerp(noise, image, t[:, None, None, None])
    return (velocity(x, t, prompts) - (image - noise)).square().mean()


class Fitted(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.velocity = Velocity()

    def training_step(self, batch, index):
        return flow_loss(self.velocity, *batch)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


def as_flow(velocity):
    return cs.from_flow(velocity, shape=(3, 6, 6), steps=8)


pairs = [
    (patches(name, 1)[0] * 2 - 1, world.class_mean(name))
    for name in space.train_classes
    for _ in range(32)
]
data = DataLoader(pairs, batch_size=16, shuffle=True)
recorder = cs.Recorder("runs/lightning", world, judge, samples=8, steps=range(0, 31, 10))
record = cs.LightningRecorder(recorder, lambda module: as_flow(module.velocity))
trainer = pl.Trainer(
    max_steps=30,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    callbacks=[record],
)
trainer.fit(Fitted(), data)
assert recorder.recorded == (0, 10, 20, 30)


# Inside accelerate.
from accelerate import Accelerator

accelerator = Accelerator(cpu=True)
velocity = Velocity()
velocity, optimizer, data = accelerator.prepare(
    velocity, torch.optim.Adam(velocity.parameters(), lr=0.01), data
)
recorder = cs.Recorder("runs/accelerate", world, judge, samples=8, steps=(6, 12))
step = 0
with cs.AccelerateRecorder(recorder, accelerator, as_flow) as record:
    for _ in range(2):
        for image, prompts in data:
            with accelerator.accumulate(velocity):
                loss = flow_loss(velocity, image, prompts)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                step += 1
                record(step, velocity, loss=loss)
assert recorder.recorded == (6, 12)
