"""Zero-shot classifiers as judges: how near an image is to a text for each value of a concept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.worlds.pixels import in_color, on_white

Texts = Mapping[str, Sequence[str | Sequence[str]]]
"""Of each concept, a text for each value in order, or several texts for a value."""

BATCH = 64
"""Images that are encoded at once."""


class ZeroShot:
    """A judge from a pair of encoders that were trained to agree, CLIP's for example.

    With u an image's and w_v a value's embedding, both of length 1, the probability of value v of a
    concept is softmax_v(s u·w_v); the embedding of several texts is the mean of theirs (CLIP, arXiv
    2103.00020, sections 3.1.2 and 3.1.4). It is calibrated for no data set: look at its answers on
    images whose values are known before relying on it.

    An image is valid unless a text of ``invalid`` is nearer to it than every text of a value, or no
    text of a value has a cosine of ``least`` or more. Without both, validity is not judged.

    >>> judge = ZeroShot(
    ...     lambda images: images.mean((2, 3)),
    ...     lambda texts: torch.tensor([[1.0, 0, 0] if t == "red" else [0, 0, 1.0] for t in texts]),
    ...     {"hue": ["red", "blue"]},
    ...     scale=1.0,
    ... )
    >>> red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    >>> judge(red)["hue"].argmax(1)
    tensor([0])

    Args:
        encode_images: images in [0, 1], (batch, 3, height, width) -> embeddings (batch, width).
        encode_texts: texts -> embeddings (texts, width), of any length.
        texts: of each concept's values, ``{"hue": ["a red thing", "a blue thing"]}``; several for
            one value in a list of their own.
        scale: s, 1 over the temperature.
        invalid: texts for images without a valid object, ``["a photo of nothing"]``.
        least: cosine from -1 to 1.

    Raises:
        UserError: a concept has fewer than two texts, a text is of the wrong form, scale or least
            is out of range, or an encoder answers with something else than embeddings; the image
            encoder when it is called.
    """

    def __init__(
        self,
        encode_images: Callable[[Tensor], Tensor],
        encode_texts: Callable[[list[str]], Tensor],
        texts: Texts,
        *,
        scale: float = 100.0,
        invalid: Sequence[str] = (),
        least: float | None = None,
    ) -> None:
        if not (np.isfinite(scale) and scale > 0):
            raise UserError(f"the scale of a zero-shot judge is above 0, not {scale:g}")
        if least is not None and not -1 <= least <= 1:
            raise UserError(f"least is a cosine from -1 to 1, not {least:g}")
        if not texts:
            raise UserError("a zero-shot judge needs texts for the values of one concept or more")
        self.encode_images, self.scale, self.least = encode_images, scale, least
        self.texts = {name: _of_values(name, values) for name, values in texts.items()}
        self.invalid = _of_value("what is invalid", invalid) if invalid else []
        with torch.no_grad():
            self.values = {
                name: torch.stack([_mean(encode_texts(some), len(some)) for some in values])
                for name, values in self.texts.items()
            }
            self.nothing = (
                _embeddings(encode_texts(self.invalid), len(self.invalid), "text")
                if self.invalid
                else None
            )

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides besides the encoders, as JSON."""
        return {
            "texts": self.texts,
            "invalid": self.invalid,
            "least": self.least,
            "scale": self.scale,
        }

    @property
    def described(self) -> str:
        """``zero-shot`` with a hash of the texts and of how they are compared."""
        whole = json.dumps([self.texts, self.invalid, self.least, round(self.scale, 4)])
        return f"zero-shot {hashlib.sha256(whole.encode()).hexdigest()[:16]}"

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "batch c height width"]
    ) -> tuple[dict[str, Tensor], Tensor] | dict[str, Tensor]:
        """Probabilities (batch, values) by concept; with them, if judged, what is valid (batch,).

        Args:
            images: in [0, 1]; of 1 channel, 3, or 4, where white shows through.
        """
        colored = on_white(images) if images.shape[1] == 4 else in_color(images)
        parts = [
            _embeddings(self.encode_images(part), len(part), "image")
            for part in colored.split(BATCH)
        ]
        u = torch.cat(parts)
        for w in self.values.values():
            if w.shape[1] != u.shape[1]:
                raise UserError(
                    f"the image encoder gives embeddings of width {u.shape[1]}, and the text "
                    f"encoder of {w.shape[1]}"
                )
        cosines = {name: u @ w.T for name, w in self.values.items()}
        shares = {name: (self.scale * cosine).softmax(1) for name, cosine in cosines.items()}
        if self.nothing is None and self.least is None:
            return shares
        nearest = torch.cat(list(cosines.values()), dim=1).amax(1)
        valid = nearest >= (-1 if self.least is None else self.least)
        if self.nothing is not None:
            valid &= nearest >= (u @ self.nothing.T).amax(1)
        return shares, valid


def from_clip(
    model: Any,
    processor: Any,
    texts: Texts,
    *,
    invalid: Sequence[str] = (),
    least: float | None = None,
    padding: bool | Literal["max_length"] = True,
) -> ZeroShot:
    """A judge from a ``CLIPModel`` or another of its kind, with its processor (``transformers``).

    Images are handed over as pictures of 8 bits, as the processor expects them; it scales and crops
    as it was set up. The scale is the model's own, exp(logit_scale).

    Args:
        model: gives ``get_image_features`` and ``get_text_features`` and has a ``logit_scale``.
        processor: of the model, for images and texts.
        texts: see :class:`ZeroShot`.
        invalid: see :class:`ZeroShot`.
        least: see :class:`ZeroShot`.
        padding: of texts; "max_length" for models that were trained so, as SigLIP.

    Raises:
        UserError: the model is not of this kind, a text is longer than it takes, or see
            :class:`ZeroShot`.
    """
    needed = ("get_image_features", "get_text_features", "logit_scale")
    missing = [name for name in needed if not hasattr(model, name)]
    if missing:
        raise UserError(
            f"from_clip takes a CLIPModel or another of its kind; {type(model).__name__} lacks "
            f"{', '.join(missing)}"
        )
    model = model.eval()

    def images_encoded(images: Tensor) -> Tensor:
        arrays = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        pictures = [Image.fromarray(array) for array in arrays]
        inputs = processor(images=pictures, return_tensors="pt").to(model.device)
        return _pooled(model.get_image_features(**inputs))

    def texts_encoded(some: list[str]) -> Tensor:
        inputs = processor(text=some, padding=padding, return_tensors="pt").to(model.device)
        most = model.config.text_config.max_position_embeddings
        if inputs["input_ids"].shape[1] > most:
            longest = max(some, key=len)
            raise UserError(f"the text {longest[:60]!r} has more than the {most} tokens that fit")
        return _pooled(model.get_text_features(**inputs))

    scale = float(model.logit_scale.detach().exp())
    return ZeroShot(images_encoded, texts_encoded, texts, scale=scale, invalid=invalid, least=least)


def _pooled(features: Any) -> Tensor:
    """The projected embeddings, which newer versions of the library wrap."""
    found: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return found


def _of_values(name: str, values: Any) -> list[list[str]]:
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) < 2:
        raise UserError(
            f"{name!r} needs a list with a text for each of its values, two or more, not {values!r}"
        )
    return [_of_value(name, value) for value in values]


def _of_value(name: str, value: Any) -> list[str]:
    some = [value] if isinstance(value, str) else value
    right = isinstance(some, Sequence) and len(some) > 0
    if not right or not all(isinstance(text, str) and text.strip() for text in some):
        raise UserError(f"a text, or a list of texts, belongs to {name!r}, not {value!r}")
    return list(some)


def _mean(embeddings: Any, count: int) -> Tensor:
    """The direction of several embeddings' mean, (width,)."""
    return F.normalize(_embeddings(embeddings, count, "text").mean(0), dim=0)


def _embeddings(found: Any, count: int, what: str) -> Tensor:
    """Embeddings of length 1, checked, on the CPU."""
    right = isinstance(found, Tensor) and found.ndim == 2 and len(found) == count
    if not right or not found.is_floating_point():
        given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(
            f"the {what} encoder gives floating-point embeddings (number of {what}s, width), not "
            f"{given}"
        )
    found = found.detach().cpu().float()
    if not bool(found.isfinite().all()) or bool((found.norm(dim=1) == 0).any()):
        raise UserError(f"the {what} encoder gives embeddings that are zero, NaN or infinite")
    return F.normalize(found, dim=1)
