"""One run from its config to its trajectory: train, save, generate, score.

Work is reported as a stream of events; printing them belongs to the caller.
"""

from __future__ import annotations

import platform
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conceptspace.analysis.steps import in_words
from conceptspace.config import RunConfig, merged
from conceptspace.engine.cuda_graph import Replayed
from conceptspace.engine.fusible import has_hooks
from conceptspace.engine.native.compiling import native
from conceptspace.engine.native.memory import keep_freed_memory
from conceptspace.engine.precision import LoweredModel, Precision, fastest_precision
from conceptspace.errors import UserError
from conceptspace.events import Evaluated, Event, Notice, Stopped
from conceptspace.experiment import parts
from conceptspace.experiment.alike import keeps_images, require_same_images
from conceptspace.experiment.asked import keep_asked
from conceptspace.experiment.completeness import (
    Incomplete,
    chosen,
    missing_checkpoints,
    missing_in_words,
    resume_command,
    saved,
    unscored,
)
from conceptspace.experiment.own_code import keep_code
from conceptspace.experiment.training import Training
from conceptspace.experiment.training_process import TrainingProcess
from conceptspace.judges.agreement import agreement_judge
from conceptspace.judges.function import checked_judge, judge_record
from conceptspace.judges.judge import Judge
from conceptspace.judges.probe import ProbeSettings, ProbeStopped, TrainedProbe, load_or_train
from conceptspace.models.vdm import VDM, EmbeddingVDM
from conceptspace.protocols import registry
from conceptspace.protocols.base import Protocol
from conceptspace.protocols.naive import Naive
from conceptspace.recording.book import Book
from conceptspace.recording.environment import environment
from conceptspace.recording.evaluate import Evaluator
from conceptspace.recording.scoring import Scorer
from conceptspace.recording.sheets import pictures_of, write_pictures
from conceptspace.recording.space import write_space
from conceptspace.recording.work import noted, working_on
from conceptspace.store import Run
from conceptspace.tables import NAIVE
from conceptspace.training import checkpoint
from conceptspace.worlds.world import HasSource

POLL = 0.1
"""Seconds to wait for news of the process that trains."""


class NotYet(UserError):
    """A protocol asks for a checkpoint that a run in training may not have yet."""


def _not_yet(step: int | None) -> VDM:
    raise NotYet(f"the checkpoint of step {step or 'the end'} may not be there yet")


class Session:
    """A run folder with everything that working on it needs.

    Working on it, the process keeps the memory that it frees, see
    :func:`~conceptspace.engine.native.memory.keep_freed_memory`.

    Args:
        run: the folder.
        device: where to compute.
        cache: folder of trained probes.
        precision: of the wide layers in training and sampling; by default the fastest that
            the device has. Probes are trained in float32.
        beside: train in a process of its own while this one scores, each with as many threads as
            PyTorch uses here; the same bytes. Kinds of one's own have to be importable there: by a
            module, a file or an entry point.
    """

    def __init__(
        self,
        run: Run,
        device: torch.device,
        cache: Path,
        precision: Precision | None = None,
        *,
        beside: bool = False,
    ) -> None:
        self.run = run
        self.device = device
        self.cache = cache
        self.precision = precision or fastest_precision(device)
        self.beside = beside
        self.config = run.config
        self.world = parts.world(self.config.data)
        self.book = Book(run, self.config.seed, self.world.space.classes)
        self.probe: TrainedProbe | None = None

    def execute(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Train to the end, scoring every checkpoint under naive prompting.

        A run that was interrupted goes on where it was, and writes what it would have written.
        ``run.json`` says how the session ended ("finished", "stopped", or "failed" by an
        exception) and how many seconds all sessions took; a killed process leaves "running".

        Args:
            stop: asked after every step, of the probe's training too.

        Raises:
            Stopped: ``stop`` said so; the state is saved.
            UserError: another process works on the run, or has begun it with another config or
                with another file of one's own; or the images are not those of before.
            Diverged: a loss, gradient, weight, image or score is not finite.
            OSError: something could not be read or written.
        """
        with working_on(self.run, self.config):
            yield from self._require_same_images()
            keep_code(self.run, self.config, self.config.evaluate.protocols)
            keep_asked(self.run, self.config, self.config.evaluate.protocols)
            yield from self._execute(stop)

    def _execute(self, stop: Callable[[], bool]) -> Iterator[Event]:
        with noted(self.run, self._environment()):
            if self.beside:
                yield from self._train_beside(stop)
            else:
                yield from self._prepare(stop)
                yield from self._train(stop)
            yield from self._evaluate([NAIVE, *self.config.evaluate.protocols], stop, self.config)
            self._require_all()

    def evaluate(
        self,
        protocols: Iterable[str],
        stop: Callable[[], bool] = lambda: False,
        sweeps: Mapping[str, Sequence[float]] | None = None,
        own: Mapping[str, Mapping[str, Any]] | None = None,
        steps: Sequence[int] | None = None,
    ) -> Iterator[Event]:
        """Score saved checkpoints under protocols, skipping the settings that are there.

        Args:
            protocols: names, see :func:`conceptspace.protocols.registry.names`.
            stop: asked after every checkpoint, and every step of the probe's training.
            sweeps: strengths, alphas, betas or guidance weights in place of the config's.
            own: by family, settings of protocols that have some of their own, in place of the
                config's.
            steps: of the checkpoints that are scored; without them every saved one is.

        Raises:
            Stopped: ``stop`` said so; what has been scored is saved.
            UserError: an unknown protocol, a step that is not saved, patching before the last
                checkpoint, a file of one's own that has changed, or another process works on the
                run; or the images are not those of before, or a protocol was asked with other
                settings.
        """
        asked = list(protocols)
        chosen(self.run, steps)
        with working_on(self.run, self.config):
            yield from self._require_same_images()
            keep_code(self.run, self.config, asked)
            config = self._asking(sweeps or {}, own or {})
            keep_asked(self.run, config, asked)
            yield from self._evaluate(asked, stop, config, steps)

    def _evaluate(
        self,
        protocols: Iterable[str],
        stop: Callable[[], bool],
        config: RunConfig,
        steps: Sequence[int] | None = None,
    ) -> Iterator[Event]:
        run = parts.context(config, self._load)
        asked = [registry.make(name, run) for name in protocols]
        yield from self._prepare(stop)
        if lacking := missing_in_words(self.run):
            yield Notice(lacking)
        there = chosen(self.run, steps)
        for protocol in asked:
            for step in there:
                if self.book.missing(protocol, step):
                    try:
                        weights = checkpoint.load(self.run.checkpoints, step, self.device)
                    except checkpoint.DamagedCheckpoint as error:
                        yield Notice(f"{error}; it is left out")
                        continue
                    yield self._score(weights, protocol, step)
                if stop():
                    self._collect()
                    raise Stopped(step)
        self._collect()

    def _require_all(self) -> None:
        """Raise ``Incomplete`` unless every planned checkpoint was saved and scored as planned."""
        lacking = unscored(self.run.trajectory(), self.config)
        if lacking := sorted({*lacking, *missing_checkpoints(self.run)}):
            raise Incomplete(
                f"{self.run.path} lacks the checkpoints of {in_words(lacking)}, which were "
                f"damaged meanwhile; make them again with: {resume_command(self.run)}"
            )

    def _prepare(self, stop: Callable[[], bool]) -> Iterator[Event]:
        """Load or train the probe, once per session."""
        if self.probe is not None:
            return
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.device.type == "cpu" and native().library is None:
            yield Notice(f"slower than it could be: {native().reason}")
        write_space(self.run.path, self.world.space)
        yield from self._store_pictures()
        yield Notice("probe: training one, or taking it from the cache")
        started = time.perf_counter()
        settings = parts.probe(self.config)
        try:
            self.probe = load_or_train(self.world, settings, self.device, self.cache, stop)
        except ProbeStopped:
            raise self._stopped() from None
        yield from self._tell_other_probe(self.probe)
        accuracy = self.probe.report["accuracy"]
        self.run.note(probe={"hash": self.probe.hash, **self.probe.report})
        right = ", ".join(f"{concept} {100 * value:.1f} %" for concept, value in accuracy.items())
        seconds = time.perf_counter() - started
        yield Notice(f"probe: {right} on held-out images ({seconds:.1f} s)")
        judge = yield from self._judge(settings, stop)
        self.scorer = Scorer(self.probe.probe, judge, self.world.space.axes())

    def _judge(
        self, settings: ProbeSettings, stop: Callable[[], bool]
    ) -> Generator[Event, None, Judge | None]:
        """The judge that decides besides the probe; two probes that agree if the config says so."""
        share = self.config.probe.agreement
        if not share:
            own = self.config.data.judge(self.world)
            if own is None:
                return None
            self.run.note(**judge_record(own))
            return checked_judge(own, self.world.space.concepts)
        assert self.probe is not None
        yield Notice("judge: training a second probe, or taking it from the cache")
        try:
            judge, report = agreement_judge(
                self.world, settings, self.probe, share, self.device, self.cache, stop
            )
        except ProbeStopped:
            raise self._stopped() from None
        self.run.note(judge=report)
        worst = max(report["foils"], key=report["foils"].__getitem__)
        yield Notice(
            f"judge: {100 * report['valid']:.1f} % of held-out images are valid; of images that "
            f"show no object it gives at most {report['foils'][worst]:.2f} to a class ({worst})"
        )
        return judge

    def _stopped(self) -> Stopped:
        """The exception for a stop before the training went on."""
        return Stopped(max(checkpoint.saved_steps(self.run.folder.resume), default=0))

    def _require_same_images(self) -> Iterator[Event]:
        """Go on with the images of which ``run.json`` keeps a hash, and with no others."""
        if keeps_images(self.run, self.world):
            yield Notice("images: comparing them with those of the run")
            require_same_images(self.run, self.config, self.world)

    def _tell_other_probe(self, found: TrainedProbe) -> Iterator[Event]:
        """What one probe has scored is mixed with what another one does, but not in silence.

        Trained again on another processor, the same probe has other last digits.
        """
        before = self.run.information().get("probe", {}).get("hash", found.hash)
        if before != found.hash and self.run.folder.all_scores():
            yield Notice(
                f"{self.run.path} was scored by the probe {before:.12}, and the one in "
                f"{self.cache}, {found.hash:.12}, scores what is added; it was trained anew, "
                "perhaps on another processor"
            )

    def _store_pictures(self) -> Iterator[Event]:
        """Store an image of each class and where it is from, unless pages render the classes."""
        if self.config.data.pages_render:
            return
        yield Notice("images: reading them, or taking them from the cache")
        write_pictures(self.run, pictures_of(self.world))
        if isinstance(self.world, HasSource):
            self.run.note(data=self.world.provenance())

    def _train(self, stop: Callable[[], bool]) -> Iterator[Event]:
        training = Training(self.run, self.config, self.world, self.device, self.precision)
        yield from training.events(stop, self._score_naive)

    def _score_naive(self, step: int, weights: Mapping[str, Tensor]) -> Iterator[Event]:
        """Score a new checkpoint under naive prompting, unless that is done."""
        if self.book.missing(Naive(), step):
            yield self._score(weights, Naive(), step)
            self._collect()

    def _train_beside(self, stop: Callable[[], bool]) -> Iterator[Event]:
        """Train in another process, and score checkpoints as they come, step by step.

        What is left when it has ended, :meth:`_evaluate` does.
        """
        asked = self._without_other_checkpoints()
        seen, waiting = set[int](), deque[tuple[int, Protocol]]()
        with TrainingProcess(self.run, self.device, self.precision) as training:
            yield from self._prepare(stop)
            while not training.ended:
                yield from training.events(POLL)
                if stop():
                    training.stop()
                    continue
                for step in sorted({*checkpoint.saved_steps(self.run.checkpoints)} - seen):
                    seen.add(step)
                    waiting.extend((step, p) for p in asked if self.book.missing(p, step))
                if waiting:
                    step, protocol = waiting.popleft()
                    with suppress(checkpoint.DamagedCheckpoint):  # it is being made again
                        weights = checkpoint.load(self.run.checkpoints, step, self.device)
                        yield self._score(weights, protocol, step)
                        self._collect()

    def _without_other_checkpoints(self) -> list[Protocol]:
        """The protocols of the run that need no checkpoint beside the one that they ask."""
        run, found = parts.context(self.config, _not_yet), []
        for name in (NAIVE, *self.config.evaluate.protocols):
            with suppress(NotYet):
                found.append(registry.make(name, run))
        return found

    @cached_property
    def _sampled(self) -> LoweredModel:
        """The model that is evaluated, whatever weights it holds at the moment."""
        model = LoweredModel(parts.model(self.config, self.device), self.precision)
        fast = model.fast
        if isinstance(fast, EmbeddingVDM) and fast.accelerated:
            replayed = Replayed(fast.denoise, self.device, aside=lambda: has_hooks(fast))
            fast.denoise = replayed  # type: ignore[method-assign, assignment]
        return model

    def _score(self, weights: Mapping[str, Tensor], protocol: Protocol, step: int) -> Evaluated:
        """Generate, score and store what a checkpoint lacks under one protocol."""
        evaluator = Evaluator(
            self.world,
            parts.conditioning(self.config.data),
            self.scorer,
            parts.sampling(self.config, protocol.name),
            self.config.seed,
        )
        self._sampled.load_state_dict(weights)
        there = self.book.scored(protocol.name, step)
        generated = evaluator(self._sampled.fast, protocol, self.world.space.classes, there)
        return self.book.store(protocol.name, step, generated)

    def _asking(
        self, sweeps: Mapping[str, Sequence[float]], own: Mapping[str, Mapping[str, Any]]
    ) -> RunConfig:
        """The config with other settings of protocols, for one evaluation."""
        changes = {"evaluate": dict(sweeps), "protocols": own}
        return merged(self.config, changes, "the protocols' settings")

    def _load(self, step: int | None) -> VDM:
        """The model as it was at a saved step, the last planned one for None."""
        step = saved(self.run, self.config, step)
        model = parts.model(self.config, self.device)
        model.load_state_dict(checkpoint.load(self.run.checkpoints, step, self.device))
        return model

    def _environment(self) -> dict[str, Any]:
        """What a result depends on besides its config."""
        device = self.device
        gpu = device.type == "cuda"
        name = torch.cuda.get_device_name(device) if gpu else platform.processor()
        return environment(
            device=f"{device.type} ({name or platform.machine()})",
            precision=self.precision,
            operations=native().reason if device.type == "cpu" else "PyTorch",
        )

    def _collect(self) -> None:
        """Average all scores into ``trajectory.parquet``."""
        probe_hash = self.probe.hash if self.probe else ""
        metadata = {"probe": probe_hash, "config": self.config.digest()}
        self.book.collect(self.world.space.names, metadata)
