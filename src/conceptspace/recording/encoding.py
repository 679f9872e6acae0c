"""The prompts of the classes of a recorded run, the same at every checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.files import sha256
from conceptspace.models.generative import Prompts
from conceptspace.recording.evaluate import prompt_vectors
from conceptspace.seeding import all_random_numbers_kept, seed_all, stream_seed
from conceptspace.space import ConceptClass
from conceptspace.worlds.world import Prompting

SUMS = 16
"""Sums of a prompt by which it is known again."""

Encoder = Callable[[ConceptClass, int], Prompts]
"""(class, number of samples) -> one prompt for each sample: a tensor (samples, ...), or texts.

Tensors of labels (samples,), vectors (samples, k) or sequences of embeddings (samples, tokens, k)
have the same shape for every class; there are no masks.
"""


def prompts_of(
    world: Prompting, encode: Encoder | None, samples: int, seed: int
) -> dict[ConceptClass, Prompts]:
    """The prompts of every class, of one shape.

    Args:
        world: whose classes are asked for.
        encode: makes prompts; None takes the world's concept vectors.
        samples: prompts of each class.
        seed: of the run; what the encoder draws depends on it and the class alone.

    Raises:
        UserError: something else stands in place of a prompt, or the prompts of two classes differ
            in shape.
    """
    chosen = encode or (lambda name, count: prompt_vectors(world, name, count, seed))
    prompts = {c: _of_class(chosen, c, samples, seed) for c in world.space.classes}
    _require_one_shape(prompts)
    return prompts


def sketch(prompts: Mapping[ConceptClass, Prompts]) -> dict[str, Any]:
    """By what the prompts of each class are known again, see :func:`alike`.

    Texts and labels by a hash, vectors by their shape and some sums, with random signs, of their
    mean over samples.
    """
    return {str(c): _sketch(prompts[c]) for c in prompts}


def _sketch(prompts: Prompts) -> Any:
    if not isinstance(prompts, Tensor) or not prompts.is_floating_point():
        values = prompts.tolist() if isinstance(prompts, Tensor) else prompts
        return sha256(repr(values).encode())[:16]
    mean = prompts.double().mean(0).flatten().cpu()
    signs = torch.randint(2, (SUMS, len(mean)), generator=torch.Generator().manual_seed(0)) * 2 - 1
    sums = (signs.double() @ mean / len(mean) ** 0.5).tolist()
    return {"shape": [*prompts.shape], "sums": [float(f"{number:.6g}") for number in sums]}


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether prompts are the same but for rounding: their sums differ by a hundredth or less."""
    return one.keys() == other.keys() and all(_alike(one[c], other[c]) for c in one)


def _alike(one: Any, other: Any) -> bool:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return bool(one == other)
    if one["shape"] != other["shape"]:
        return False
    pairs = [*zip(one["sums"], other["sums"], strict=True)]
    size = max((abs(number) for pair in pairs for number in pair), default=0.0)
    return all(abs(a - b) <= size / 100 for a, b in pairs)


def _of_class(encode: Encoder, concept_class: ConceptClass, count: int, seed: int) -> Prompts:
    with all_random_numbers_kept(), torch.no_grad():
        seed_all(stream_seed(seed, "prompts", concept_class))
        prompts = encode(concept_class, count)
    texts = isinstance(prompts, list) and all(isinstance(text, str) for text in prompts)
    if not (texts or isinstance(prompts, Tensor)) or len(prompts) != count:
        raise UserError(
            f"the prompts of class {concept_class} are {count} rows of a tensor or {count} texts "
            f"in a list, without masks, not {_prompts_in_words(prompts)}"
        )
    if isinstance(prompts, Tensor) and not bool(torch.isfinite(prompts).all()):
        raise UserError(f"the prompts of class {concept_class} hold NaN or infinite numbers")
    return prompts


def _prompts_in_words(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"{len(value)} in a list" if isinstance(value, list) else type(value).__name__


def _require_one_shape(prompts: Mapping[ConceptClass, Prompts]) -> None:
    shapes = {c: tuple(p.shape[1:]) for c, p in prompts.items() if isinstance(p, Tensor)}
    if len(set(shapes.values())) > 1:
        one, other = min(shapes, key=lambda c: shapes[c]), max(shapes, key=lambda c: shapes[c])
        raise UserError(
            f"the prompts of class {one} have shape {shapes[one]} and those of class {other} "
            f"{shapes[other]}; pad them to one length"
        )
