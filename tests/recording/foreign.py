"""A data set of two concepts and a small model of its own, as somebody else would bring them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jaxtyping
import torch
from torch import Tensor, nn

from conceptspace.models.noise import Noise
from conceptspace.protocols.overprompting import Overprompting
from conceptspace.recording.recorder import Recorder
from conceptspace.worlds.naming import SpacePrompts, named_space

SPACE = named_space({"hue": ("red", "blue"), "side": ("left", "right")}, [("blue", "right")])
SIZE = 6


def patches(concept_class: str, count: int) -> Tensor:
    """Images (count, 3, 6, 6): one half is red or blue, the other black."""
    images = torch.zeros(count, 3, SIZE, SIZE)
    columns = slice(SIZE // 2, SIZE) if concept_class[1] == "1" else slice(0, SIZE // 2)
    images[:, 2 if concept_class[0] == "1" else 0, :, columns] = 0.9
    return images


def judge(images: Tensor) -> Tensor:
    """How blue an image is, and how much of its light is on the right."""
    light = images.sum((1, 2, 3)).clamp(min=1e-6)
    blue = images[:, 2].sum((1, 2)) / light
    right = images[..., SIZE // 2 :].sum((1, 2, 3)) / light
    return torch.stack([blue, right], dim=1).clamp(0, 1)


class Painter(nn.Module):
    """Prompt and noise to an image, by two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4 + 8, 32), nn.ReLU(), nn.Linear(32, 3 * SIZE * SIZE), nn.Sigmoid()
        )
        self.calls = 0

    def forward(self, prompts: Tensor, noise: Noise) -> Tensor:
        self.calls += 1
        images: Tensor = self.layers(torch.cat([prompts, 0.1 * noise(8)], dim=1))
        return images.view(-1, 3, SIZE, SIZE)


def one_hot(concept_class: str) -> Tensor:
    return torch.cat([torch.eye(2)[int(bit)] for bit in concept_class])


def training(steps: int, seed: int = 0) -> Iterator[tuple[int, Painter, float]]:
    """Yields (step, model, loss) after each step; draws from PyTorch's own stream."""
    torch.manual_seed(seed)
    model = Painter()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(1, steps + 1):
        name = SPACE.train_classes[step % 3]
        prompts = one_hot(name).expand(8, -1)
        made = model.layers(torch.cat([prompts, 0.1 * torch.randn(8, 8)], dim=1))
        loss = (made.view(-1, 3, SIZE, SIZE) - patches(name, 8)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield step, model, loss.item()


LOUDER = Overprompting(SpacePrompts(SPACE), "hue", (1.5, 2.5))
STEPS = range(0, 100, 2)
PICTURES = {c: patches(c, 1)[0] for c in SPACE.classes}


def recorder(folder: Path | str, **changes) -> Recorder:
    arguments = {"world": SPACE, "judge": judge, "protocols": [LOUDER], "samples": 4}
    return Recorder(folder, **(arguments | {"steps": STEPS, "pictures": PICTURES} | changes))


def record(folder: Path, steps: int, stop_at: int = 0, **changes) -> int:
    """Train for some steps and record; returns how often the model was called to record."""
    calls = 0
    with recorder(folder, **changes) as opened:
        for step, model, loss in training(steps):
            if step in opened.steps:
                opened.checkpoint(step, model, loss=loss)
            calls = model.calls
            if step == stop_at:
                raise KeyboardInterrupt
    return calls


def half(images: torch.Tensor) -> torch.Tensor:
    """A judge that cannot say."""
    return torch.full((len(images), 2), 0.5)


@contextmanager
def unchecked() -> Iterator[None]:
    """Without the tests' own checks of types, which see sooner what is refused."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
