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
from conceptspace.seeding import random_numbers_kept, stream_seed
from conceptspace.space import ConceptClass
from conceptspace.worlds.world import Prompting

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


def fingerprint(prompts: Mapping[ConceptClass, Prompts]) -> str:
    """By what prompts are known again: texts and labels by all of them, vectors by a few sums.

    Two digits of these sums, since an encoder's numbers may differ by rounding from time to time.
    """
    lines = [f"{c} {_in_short(prompts[c])}" for c in sorted(prompts)]
    return sha256("\n".join(lines).encode())[:16]


def _in_short(prompts: Prompts) -> str:
    if not isinstance(prompts, Tensor):
        return repr(prompts)
    if not prompts.is_floating_point():
        return repr(prompts.tolist())
    numbers = prompts.double().flatten(1).cpu()
    order = numbers @ torch.arange(numbers.shape[1], dtype=numbers.dtype).cos()
    sums = (numbers.mean(), numbers.std(correction=0), order.mean())
    return f"{tuple(prompts.shape)} {' '.join(f'{number:.1e}' for number in sums)}"


def _of_class(encode: Encoder, concept_class: ConceptClass, count: int, seed: int) -> Prompts:
    with random_numbers_kept(), torch.no_grad():
        torch.manual_seed(stream_seed(seed, "prompts", concept_class))
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
