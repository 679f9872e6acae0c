"""The recorder: asks a model at its checkpoints, and keeps scores, sheets and the trajectory."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.events import Evaluated
from conceptspace.judges.function import AnyJudge, checked_judge, judge_in_words, judge_record
from conceptspace.loggers import Logger, log_metrics, log_scores, open_loggers
from conceptspace.models.generative import name_of
from conceptspace.protocols.base import Protocol, offered
from conceptspace.protocols.naive import with_naive
from conceptspace.recording.asked import keep, refuse_mixing
from conceptspace.recording.asking import Asker
from conceptspace.recording.book import Book
from conceptspace.recording.described import described
from conceptspace.recording.encoding import Encoder, alike, prompts_of, sketch
from conceptspace.recording.environment import environment
from conceptspace.recording.metrics import Metrics, checked
from conceptspace.recording.scoring import JudgeScorer
from conceptspace.recording.sheets import own_pictures, pictures_of, write_pictures
from conceptspace.recording.space import read_space, write_space
from conceptspace.recording.work import noted, working_on
from conceptspace.run_folder import RunFolder
from conceptspace.settings.recorded import Value, described_as
from conceptspace.space import ConceptSpace
from conceptspace.store import Run, open_or_create
from conceptspace.tables import LARGEST, NAIVE
from conceptspace.training.checkpoint_schedule import EvenInRoot, StepSet, whole
from conceptspace.worlds.naming import SpacePrompts
from conceptspace.worlds.world import Prompting, World

PROMPTS = "prompts"
"""Under which name ``run.json`` keeps a sketch of the prompts."""


class Recorder:
    """Records a model of any kind while it is trained, or from checkpoints that it left.

    ::

        with Recorder("runs/mine", space, judge, [Guidance([1, 3])], seed=0) as recorder:
            for step, model in training():
                if step in recorder.steps:
                    recorder.checkpoint(step, model, loss=loss)

    The run folder is one that ``conceptspace report``, ``serve`` and ``info`` read; only one
    process works on it at a time. What is there already is not asked again, so a recording that
    was interrupted goes on when the same program runs again. Noise and prompts depend on the seed,
    the class and the sample alone: at every checkpoint and under every protocol, sample i of a
    class starts from the same noise.

    Args:
        folder: of the run; created if it is not there. It stays where it is when the working
            directory changes.
        world: whose classes are asked for: a concept space (see
            :func:`~conceptspace.worlds.naming.named_space`), or a world, which brings pictures of
            its classes.
        judge: says what images show, see :func:`~conceptspace.judges.function.checked_judge`.
        protocols: ways to ask beside naive prompting, which is always there.
        seed: of noise and prompts, and of the run in every table.
        samples: images per class and setting.
        steps: what :attr:`steps` is; by default every step whose root is even: 4, 16, 36, 64, ...
        prompts: what classes are asked with; by default the world's concept vectors, one-hot for
            a space of names.
        pictures: an image of each class for figures, (channels, height, width) in [0, 1]; by
            default the world's.
        settings: of the training, by which pages compare runs, e.g. ``{"width": 64}``.
        batch_size: largest number of images that the model is asked for at once.
        loggers: where metrics, accuracies and contact sheets go besides: "tensorboard", "wandb",
            "mlflow", or objects like :class:`~conceptspace.loggers.Logger`.

    Raises:
        UserError: an argument is out of its bounds; ``steps`` cannot say which steps it has, as a
            generator cannot; a setting is neither text, a finite number nor a bool; the folder
            holds a run of another space, seed, judge, protocol or setting, one that was asked with
            other prompts, something else, or scores of a protocol that was made otherwise (see
            :func:`~conceptspace.recording.described.described`); two protocols share a name; a
            prompt or picture is of the wrong form.
    """

    def __init__(
        self,
        folder: str | Path,
        world: ConceptSpace | Prompting,
        judge: AnyJudge,
        protocols: Sequence[Protocol] = (),
        *,
        seed: int = 0,
        samples: int = 32,
        steps: Container[int] | None = None,
        prompts: Encoder | None = None,
        pictures: Mapping[str, Tensor] | None = None,
        settings: Mapping[str, Value] | None = None,
        batch_size: int = 256,
        loggers: Sequence[str | Logger] = (),
    ) -> None:
        seed, samples, batch_size = map(_plain, (seed, samples, batch_size))
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise UserError(f"batch_size is a whole number from 1 on, not {batch_size!r:.80}")
        asked = SpacePrompts(world) if isinstance(world, ConceptSpace) else world
        self.space = asked.space
        self.steps = _steps(steps)
        self.protocols = with_naive(protocols)
        encoder = "concept vectors" if prompts is None else name_of(prompts)
        self.description = described_as(
            seed=seed,
            samples=samples,
            judge=judge_in_words(judge),
            prompts=encoder,
            concepts={concept.name: tuple(concept.labels) for concept in self.space.concepts},
            train_classes=tuple(map(str, self.space.train_classes)),
            ood_classes=tuple(map(str, self.space.ood_classes)),
            protocols={
                protocol.name: _settings(protocol, self.space) for protocol in self.protocols
            },
            training=dict(settings or {}),
        )
        if pictures is not None:
            self.pictures = own_pictures(asked, pictures)
        else:
            self.pictures = pictures_of(asked) if isinstance(asked, World) else {}
        scorer = JudgeScorer(self.space, checked_judge(judge, self.space.concepts))
        of_classes = prompts_of(asked, prompts, samples, seed)
        self.made_of = described(self.protocols)
        self.sketch = sketch(of_classes)
        self.ask = Asker(of_classes, scorer, seed, batch_size)
        self.judge = judge
        self.folder = Path(folder).absolute()
        self.asked_loggers = tuple(loggers)
        self.open = False

    def __enter__(self) -> Recorder:
        self.run, _ = open_or_create(self.folder, self.description)
        there = read_space(self.folder)
        if there not in (None, self.space):
            raise UserError(
                f"{self.folder} holds a run of a space whose values have other numbers; choose "
                "another folder"
            )
        with ExitStack() as stack:
            stack.enter_context(working_on(self.run, self.description))
            refuse_mixing(self.run, self.made_of)
            keep(self.run, self.made_of)
            self._keep_prompts()
            write_space(self.folder, self.space)
            write_pictures(self.run, self.pictures)
            self.metrics = Metrics(self.run.folder.training)
            stack.enter_context(noted(self.run, environment(**judge_record(self.judge))))
            if self.recorded:
                self._collect()
            self.loggers = stack.enter_context(
                open_loggers(self.asked_loggers, self.run, self.folder)
            )
            self.stack = stack.pop_all()
        self.open = True
        return self

    def __exit__(self, *failure: Any) -> None:
        self.open = False
        self.stack.__exit__(*failure)

    @cached_property
    def book(self) -> Book:
        """What has been scored; the folder is there."""
        return Book(Run(self.folder), self.description.seed, self.space.classes)

    @property
    def recorded(self) -> tuple[int, ...]:
        """Steps that have been recorded under every protocol, increasing."""
        steps = RunFolder(self.folder).scored_steps(NAIVE)
        return tuple(step for step in steps if not self._missing(step))

    def checkpoint(self, step: object, model: Any, **metrics: object) -> list[Evaluated]:
        """Ask a model for every class under every protocol, and keep what it answers.

        A tqdm bar or a log may show what is returned. The global random numbers of PyTorch, Python
        and NumPy are afterwards what they were, so that recording does not change the training.

        Args:
            step: of training, 0 to 10¹⁵.
            model: ``model(prompts, noise) -> images`` in [0, 1], see
                :class:`~conceptspace.models.generative.GenerativeModel`. A ``torch.nn.Module`` is
                in evaluation mode meanwhile.
            metrics: numbers for the training log, ``loss`` among them.

        Returns:
            The joint accuracies of what has been asked, one for each protocol; those that were
            there already are left out.

        Raises:
            UserError: the model lacks what a protocol needs, or model or judge answer with
                something else than images and probabilities; the recorder is not open, or its
                folder is no longer there.
            Diverged: an image or metric is not finite.
        """
        if not self.open:
            raise UserError("checkpoints are recorded inside `with Recorder(...) as recorder:`")
        if not self.run.folder.config.is_file():
            raise UserError(f"{self.folder} was moved or removed while it was recorded")
        at = _step(step)
        numbers = checked(at, metrics)
        found = []
        for protocol in self._missing(at):
            there = self.book.scored(protocol.name, at)
            generated = self.ask(model, protocol, there)
            found.append(self.book.store(protocol.name, at, generated))
            log_scores(found[-1], self.run, self.loggers)
        self.metrics.add(at, numbers)
        log_metrics(at, numbers, self.loggers)
        if found:
            self._collect()
        return found

    def _keep_prompts(self) -> None:
        """Keep by what the prompts are known again, if nothing was asked with others.

        Raises:
            UserError: the run was asked with others.
        """
        kept = self.run.information().get("asked", {}).get(NAIVE, {}).get(PROMPTS)
        if kept is not None and self.run.folder.scored_steps(NAIVE):
            if not alike(kept, self.sketch):
                raise UserError(
                    f"{self.folder} was asked with other prompts for the same classes; choose "
                    "another folder"
                )
            return
        keep(self.run, {NAIVE: {PROMPTS: self.sketch}})

    def _missing(self, step: int) -> list[Protocol]:
        return [protocol for protocol in self.protocols if self.book.missing(protocol, step)]

    def _collect(self) -> None:
        self.book.collect(self.space.names, {"config": self.description.digest()})


def _settings(protocol: Protocol, space: ConceptSpace) -> tuple[str, ...]:
    found = [name for c in space.classes for name in offered(protocol, c)]
    return tuple(dict.fromkeys(found))


def _plain(number: int) -> int:
    """A whole number of NumPy or PyTorch as one of Python; anything else as it is."""
    found = whole(number)
    return number if found is None else found


def _steps(steps: Container[int] | None) -> Container[int]:
    if steps is None:
        return EvenInRoot()
    if not hasattr(steps, "__contains__"):
        raise UserError(
            "steps is a collection that says which steps it has, such as a list or a range, not "
            f"{steps!r:.80}"
        )
    if not isinstance(steps, set | frozenset):
        return steps
    return StepSet(map(_plain, steps))


def _step(step: object) -> int:
    number = whole(step)
    if number is None or not 0 <= number <= LARGEST:
        raise UserError(f"a step is a whole number from 0 to 10^15, not {step!r:.80}")
    return number
