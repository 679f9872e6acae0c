"""The tests check what is passed: types everywhere, and shapes where a module names them."""

from __future__ import annotations

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from conceptspace.files import sha256
from conceptspace.presentation.sweep import in_words
from conceptspace.worlds.dataset import Examples


def test_of_types() -> None:
    """In a module that jaxtyping looks after, and in one of the others"""
    with pytest.raises(TypeCheckError):
        sha256(bytearray(b"bytes"))
    with pytest.raises(BeartypeCallHintViolation):
        in_words(None)


def test_of_shapes() -> None:
    with pytest.raises(TypeCheckError):
        Examples(torch.rand(3, 3, 8, 8), torch.rand(2, 11))
