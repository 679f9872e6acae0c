"""conceptspace: watch a generative model learn concepts.

The names below are loaded when they are first used, so importing the package takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conceptspace.data.arrays import ArrayWorld
    from conceptspace.data.concepts import Concept, ConceptClass, ConceptSpace
    from conceptspace.data.datasets import from_huggingface, from_torch
    from conceptspace.data.folder import FolderWorld
    from conceptspace.data.naming import SpacePrompts, named_space
    from conceptspace.errors import UserError
    from conceptspace.measurement.judge import Judgement
    from conceptspace.measurement.protocols import (
        EmbeddingPatching,
        Guidance,
        LatentIntervention,
        MatchedControl,
        Overprompting,
    )
    from conceptspace.models.adapters.diffusers import from_diffusers, from_pipeline
    from conceptspace.models.adapters.flow import from_flow
    from conceptspace.models.adapters.function import from_function
    from conceptspace.models.adapters.replay import replay
    from conceptspace.models.generative import (
        EditableCondition,
        EditableModel,
        FineTunable,
        GenerativeModel,
        Guidable,
    )
    from conceptspace.models.noise import Noise
    from conceptspace.recording.recorder import Recorder
    from conceptspace.store import Run
    from conceptspace.training.schedule import checkpoint_steps

__version__ = "0.1.0"

_MODULES = {
    "data.arrays": "ArrayWorld",
    "data.concepts": "Concept ConceptClass ConceptSpace",
    "data.datasets": "from_huggingface from_torch",
    "data.folder": "FolderWorld",
    "data.naming": "SpacePrompts named_space",
    "errors": "UserError",
    "measurement.judge": "Judgement",
    "measurement.protocols": (
        "EmbeddingPatching Guidance LatentIntervention MatchedControl Overprompting"
    ),
    "models.adapters.diffusers": "from_diffusers from_pipeline",
    "models.adapters.flow": "from_flow",
    "models.adapters.function": "from_function",
    "models.adapters.replay": "replay",
    "models.generative": "EditableCondition EditableModel FineTunable GenerativeModel Guidable",
    "models.noise": "Noise",
    "recording.recorder": "Recorder",
    "store": "Run",
    "training.schedule": "checkpoint_steps",
}

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "ArrayWorld",
    "Concept",
    "ConceptClass",
    "ConceptSpace",
    "EditableCondition",
    "EditableModel",
    "EmbeddingPatching",
    "FineTunable",
    "FolderWorld",
    "GenerativeModel",
    "Guidable",
    "Guidance",
    "Judgement",
    "LatentIntervention",
    "MatchedControl",
    "Noise",
    "Overprompting",
    "Recorder",
    "Run",
    "SpacePrompts",
    "UserError",
    "checkpoint_steps",
    "from_diffusers",
    "from_flow",
    "from_function",
    "from_huggingface",
    "from_pipeline",
    "from_torch",
    "named_space",
    "replay",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'conceptspace' has no attribute {name!r}")
    return getattr(import_module(f"conceptspace.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
