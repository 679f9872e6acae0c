"""Judges of one's own: any callable from images to probabilities, checked where it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.judges.judge import Judge, Judgement
from conceptspace.judges.probe import Probe, TrainedProbe
from conceptspace.judges.zero_shot import ZeroShot
from conceptspace.models.generative import name_of
from conceptspace.models.modes import evaluating_behind
from conceptspace.space import Concept
from conceptspace.worlds.border import in_words

Answer = Tensor | Judgement | Mapping[str, Tensor] | tuple[Any, Tensor]
"""What a judge of one's own may answer, see :func:`checked_judge`."""

AnyJudge = Callable[[Tensor], Any] | TrainedProbe

ROUNDING = 1e-4
"""How far from [0, 1] a probability, or from 1 their sum, may be."""


def checked_judge(judge: AnyJudge, concepts: Sequence[Concept]) -> Judge:
    """A judge whose answers are looked at before they count.

    It is called without gradients, with images in [0, 1] as the model made them, shape (batch,
    channels, height, width), on the CPU. It answers with

    - the probability of each concept's second value, a tensor (batch, concepts), where all concepts
      have two;
    - or the probabilities of all values, ``{"hue": (batch, values), ...}``, with sum 1;
    - or a pair (one of both, valid), where valid says of each image whether it shows a valid object
      at all, (batch,), as booleans; or a :class:`~conceptspace.judges.judge.Judgement`.

    Args:
        judge: any callable, or a trained probe.
        concepts: of the space, in their order.

    Raises:
        UserError: a trained probe knows other concepts or values; or, when called, the answer is
            something else; it says what.
    """
    name = judge_in_words(judge)
    if isinstance(judge, TrainedProbe):
        _require_same(judge.concepts, concepts)
        judge = judge.probe
    ask: Callable[[Tensor], Any] = judge.probabilities if isinstance(judge, Probe) else judge

    @torch.no_grad()
    def judged(images: Tensor) -> Judgement:
        with evaluating_behind(ask):
            answer: Any = ask(images)
        valid: Any = None
        if isinstance(answer, Judgement):
            answer, valid = answer.probabilities, answer.valid
        elif isinstance(answer, tuple):
            if len(answer) != 2:
                raise UserError(
                    f"the judge {name} answers with a pair (probabilities, valid), not with "
                    f"{len(answer)} things"
                )
            answer, valid = answer
        shares = _of_every_value(answer, concepts, len(images), f"the judge {name}")
        return Judgement(shares, None if valid is None else _valid(valid, len(images), name))

    return judged


def _require_same(known: Sequence[Concept], concepts: Sequence[Concept]) -> None:
    """Refuse a probe that says other concepts or values, or the same in another order."""

    def words(of: Sequence[Concept]) -> str:
        return "; ".join(f"{concept.name}: {', '.join(concept.labels)}" for concept in of)

    if known and words(known) != words(concepts):
        raise UserError(
            f"the probe was trained on the concepts and values {words(known)}, and here they are, "
            f"in this order, {words(concepts)}"
        )


def judge_in_words(judge: AnyJudge) -> str:
    """A judge in words: its name, or of a trained probe and of a zero-shot judge a hash."""
    if isinstance(judge, ZeroShot):
        return judge.described
    return f"probe {judge.hash[:16]}" if isinstance(judge, TrainedProbe) else name_of(judge)


def judge_record(judge: AnyJudge) -> dict[str, Any]:
    """A judge for ``run.json``: its name; of a zero-shot judge or probe all that determines it."""
    found: dict[str, Any] = {"judge": judge_in_words(judge)}
    if isinstance(judge, ZeroShot):
        return found | judge.settings
    if isinstance(judge, TrainedProbe):
        return found | {"probe": {"hash": judge.hash, **judge.report}}
    return found


def _of_every_value(answer: Any, concepts: Sequence[Concept], count: int, what: str) -> Tensor:
    """Probabilities (batch, concepts, values), 0 beyond the values that a concept has."""
    sizes = [len(concept.labels) for concept in concepts]
    if isinstance(answer, Tensor) and answer.ndim == 3:
        parts = list(_shares(answer, (count, len(sizes), max(sizes)), what).unbind(1))
    elif isinstance(answer, Mapping):
        names = [concept.name for concept in concepts]
        if set(answer) != set(names):
            raise UserError(
                f"{what} answers for {', '.join(map(str, answer))}, and the concepts are "
                f"{', '.join(names)}"
            )
        each = zip(names, sizes, strict=True)
        parts = [_shares(answer[n], (count, size), f"{what}, concept {n},") for n, size in each]
    else:
        if max(sizes) > 2:
            raise UserError(
                f"{what} gives one number of each concept, and one has {max(sizes)} values; answer "
                "with the probabilities of all values by concept"
            )
        second = _shares(answer, (count, len(sizes)), what)
        parts = list(torch.stack([1 - second, second], dim=2).unbind(1))
    for concept, part in zip(concepts, parts, strict=True):
        if not torch.allclose(part.sum(1), torch.ones_like(part[:, 0]), atol=1e-2):
            raise UserError(
                f"{what}, concept {concept.name}, gives probabilities whose sum is not 1"
            )
    return torch.stack([F.pad(part, (0, max(sizes) - part.shape[1])) for part in parts], dim=1)


def _shares(values: Any, shape: tuple[int, ...], what: str) -> Tensor:
    if not isinstance(values, Tensor) or values.shape != shape or not values.is_floating_point():
        raise UserError(
            f"{what} gives {in_words(values)} where floating-point probabilities of shape {shape} "
            "belong"
        )
    if not bool(values.isfinite().all()):
        raise UserError(f"{what} gives probabilities that are NaN or infinite")
    low, high = values.min().item(), values.max().item()
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise UserError(f"{what} gives numbers from {low:g} to {high:g}; probabilities lie in 0..1")
    return values.detach().cpu().float().clamp(0, 1)


def _valid(valid: Any, count: int, name: str) -> Tensor:
    if not isinstance(valid, Tensor) or valid.shape != (count,) or valid.dtype != torch.bool:
        raise UserError(
            f"the judge {name} gives {in_words(valid)} as valid, where booleans of shape "
            f"({count},) belong"
        )
    return valid.detach().cpu()
