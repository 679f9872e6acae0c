"""The training loop: a generator that yields its state and leaves saving to the caller."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from conceptspace.engine.cuda_graph import Replayed
from conceptspace.engine.precision import LoweredModel, Precision
from conceptspace.engine.replacing import accelerates
from conceptspace.errors import Diverged
from conceptspace.models.guidance import drop_condition
from conceptspace.models.vdm import VDM, Loss, stratified_times
from conceptspace.seeding import generator, random_numbers_kept, stream_seed
from conceptspace.training.flat import FlatParameters
from conceptspace.worlds.dataset import Examples

LOOK = 50
"""On a GPU, steps between checks that the loss is finite; each check waits for the GPU."""


@dataclass(frozen=True)
class Optimization:
    """How a model is trained (paper App. A.2).

    Args:
        batch_size: images per step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        betas: of AdamW.
        clip_norm: largest norm of the gradient over all parameters.
        weight_average: decay of the exponential average of the weights; 0 for none. Early on the
            decay is (step + 1) / (step + 10) where that is smaller.
        condition_dropout: rate at which h is replaced by the null condition.
    """

    batch_size: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = 0.01
    weight_average: float = 0.0
    condition_dropout: float = 0.0


@dataclass(frozen=True)
class StepRecord:
    """What happened in the step that led to ``step`` completed steps; scalars stay on the device.

    Attributes:
        step: number of completed steps, from 1.
        loss: terms of the bound before the step, bits per dimension.
        grad_norm: norm of the gradient before clipping.
        gamma_0: gamma(0) before the step.
        gamma_1: gamma(1) before the step.
    """

    step: int
    loss: Loss
    grad_norm: Tensor
    gamma_0: Tensor
    gamma_1: Tensor


class Trainer:
    """A model in training. Iterate :meth:`run`, and save :meth:`state` when you like.

    Every draw of data order, noise, times and dropout is a function of (seed, step), so training
    goes on from a saved state exactly as it would have gone on without the interruption.

    Args:
        model: trained in place.
        examples: training set, on the model's device.
        optimization: how.
        seed: of the run.
        precision: of the wide layers; see :class:`LoweredModel`.
    """

    def __init__(
        self,
        model: VDM,
        examples: Examples,
        optimization: Optimization,
        seed: int,
        precision: Precision = "float32",
    ) -> None:
        self.model = model
        self.flat = FlatParameters(model)
        self.lowered = LoweredModel(model, precision)
        self.examples = examples
        self.optimization = optimization
        self.seed = seed
        self.step = 0
        self.device = examples.images.device
        self.optimizer = torch.optim.AdamW(
            [self.flat.tensor],
            lr=optimization.learning_rate,
            betas=optimization.betas,
            weight_decay=optimization.weight_decay,
            fused=True,
            capturable=self.device.type == "cuda",
        )
        self.average = self.flat.tensor.detach().clone()
        # There from the start, and changed in place for ever: a recorded step holds its address.
        self.moments = self.optimizer.state[self.flat.tensor]
        self.moments["step"] = torch.zeros((), device=self.device)
        self.moments["exp_avg"] = torch.zeros_like(self.flat.tensor.data)
        self.moments["exp_avg_sq"] = torch.zeros_like(self.flat.tensor.data)
        self.update = Replayed(
            self._update,
            self.device,
            lambda: [self.flat.tensor.data, self.average, *self.moments.values()],
        )
        self.update.active &= model.accelerated

    def run(self, last: int) -> Iterator[StepRecord]:
        """Train up to ``last`` completed steps, yielding after each.

        Raises:
            Diverged: the loss or the gradient is not finite. It is looked at after each step, on a
                GPU after every :data:`LOOK` steps.
        """
        while self.step < last:
            yield self._advance()

    def sampling_weights(self) -> dict[str, Tensor]:
        """The model's tensors with the averaged parameters, if there is an average."""
        weights = dict(self.model.state_dict())
        if self.optimization.weight_average > 0:
            weights |= self.flat.views(self.average)
        return weights

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on: weights, their average, the optimizer's moments."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.flat.views(self.average).items()}
        for key, value in self.moments.items():
            by_name = {"": value} if key == "step" else self.flat.views(value)
            tensors |= {f"optimizer.{key}.{name}": v for name, v in by_name.items()}
        return tensors

    def restore(self, step: int, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            group, key = name.split(".", 1)
            if group == "optimizer":
                moment, key = key.split(".", 1)
                group = f"{group}.{moment}"
            groups.setdefault(group, {})[key] = tensor
        self.lowered.load_state_dict(groups.pop("model"))
        self._fill(self.average, groups.pop("average"))
        for group, tensors in groups.items():
            key = group.removeprefix("optimizer.")
            if key == "step":
                self.moments[key].copy_(next(iter(tensors.values())))
            else:
                self._fill(self.moments[key], tensors)
        self.step = step

    def _fill(self, flat: Tensor, tensors: Mapping[str, Tensor]) -> None:
        for name, view in self.flat.views(flat).items():
            view.copy_(tensors[name])

    def _advance(self) -> StepRecord:
        settings = self.optimization
        noise_source = generator(self.seed, "noise", self.step)
        chosen = self._batch().to(self.device)
        images, h = self.examples.batch(chosen, self.seed, self.step)
        if self.model.accelerated and accelerates(self.device):
            images = images.contiguous(memory_format=torch.channels_last)
        times = stratified_times(len(chosen), noise_source).to(self.device)
        noise = torch.randn(images.shape, generator=noise_source).to(self.device)
        if settings.condition_dropout > 0:
            dropped = torch.rand(len(chosen), generator=noise_source) < settings.condition_dropout
            h = drop_condition(h, dropped.float().to(self.device))
        decay = min(settings.weight_average, (self.step + 1) / (self.step + 10))
        kept = torch.tensor(decay, device=self.device)
        with self._dropout():
            *terms, norm, gamma_0, gamma_1 = self.update(images, h, noise, times, kept)
        self.step += 1
        if self.device.type == "cpu" or self.step % LOOK == 0:
            total = float(sum(terms) + norm)
            if not math.isfinite(total):
                raise Diverged(
                    f"training diverged at step {self.step}: loss or gradient is not finite; try a "
                    f"smaller train.learning_rate than {settings.learning_rate:g} or a smaller "
                    f"train.clip_norm than {settings.clip_norm:g}"
                )
        return StepRecord(self.step, Loss(*terms), norm, gamma_0, gamma_1)

    def _update(
        self, images: Tensor, h: Tensor, noise: Tensor, times: Tensor, decay: Tensor
    ) -> list[Tensor]:
        """One step of the optimizer: the loss terms, the gradient's norm, gamma(0), gamma(1)."""
        model = self.lowered.fast
        if not model.training:
            model.train()
        parameters, gradients = self.flat.tensor, self.flat.tensor.grad
        assert gradients is not None
        gamma_0, gamma_1 = (g.clone() for g in model.schedule.endpoints().detach())
        gradients.zero_()
        loss = model.loss(images, h, noise, times)
        loss.total.backward()
        self.lowered.collect_gradients()
        norm = torch.linalg.vector_norm(gradients)
        gradients.mul_((self.optimization.clip_norm / (norm + 1e-6)).clamp(max=1))
        self.optimizer.step()
        self.lowered.refresh()
        self.average.lerp_(parameters.detach(), 1 - decay)
        ended = loss.detach()
        return [ended.diffusion, ended.prior, ended.reconstruction, norm, gamma_0, gamma_1]

    @contextmanager
    def _dropout(self) -> Iterator[None]:
        """PyTorch's random numbers are those of this step; afterwards what they were."""
        seed = stream_seed(self.seed, "dropout", self.step)
        kind = self.device.type
        with random_numbers_kept([self.device] if kind == "cuda" else []):
            torch.default_generator.manual_seed(seed)
            if kind == "cuda":
                torch.cuda.manual_seed(seed)
            elif kind == "mps":
                torch.mps.manual_seed(seed)
            yield

    def _batch(self) -> Tensor:
        """Indices of this step's images: every epoch visits all images in a new order."""
        count, size = len(self.examples), self.optimization.batch_size
        parts, position = [], self.step * size
        while position < (self.step + 1) * size:
            epoch, first = divmod(position, count)
            part = self._order(epoch)[first : first + (self.step + 1) * size - position]
            parts.append(part)
            position += len(part)
        return torch.cat(parts)

    def _order(self, epoch: int) -> Tensor:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            source = generator(self.seed, "order", epoch)
            self._permutation = torch.randperm(len(self.examples), generator=source)
        return self._permutation
