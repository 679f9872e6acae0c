"""conceptspace: watch a generative model learn concepts.

The names below are loaded when they are first used, so importing the package takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conceptspace.analysis.reading import read_trajectory
    from conceptspace.config import RunConfig
    from conceptspace.errors import UserError
    from conceptspace.experiment.session import Session
    from conceptspace.judges.judge import Judge, Judgement
    from conceptspace.judges.probe import ProbeSettings, train_probe
    from conceptspace.judges.zero_shot import ZeroShot, from_clip
    from conceptspace.models.adapters.diffusers import from_diffusers, from_pipeline
    from conceptspace.models.adapters.flow import from_flow
    from conceptspace.models.adapters.function import from_function
    from conceptspace.models.adapters.replay import replay
    from conceptspace.models.config import ModelConfig
    from conceptspace.models.denoiser import Accelerated, EmbeddingDenoiser
    from conceptspace.models.generative import (
        EditableCondition,
        EditableModel,
        FineTunable,
        GenerativeModel,
        Guidable,
        Hookable,
    )
    from conceptspace.models.noise import Noise
    from conceptspace.presentation.page import write_page
    from conceptspace.protocols.base import Costly, Protocol
    from conceptspace.protocols.controls import MatchedControl
    from conceptspace.protocols.embedding_steering import EmbeddingSteering
    from conceptspace.protocols.ensembling import PromptEnsemble
    from conceptspace.protocols.fine_tuning import FineTuning
    from conceptspace.protocols.guidance import Guidance
    from conceptspace.protocols.intervention import LatentIntervention
    from conceptspace.protocols.overprompting import Overprompting
    from conceptspace.protocols.patching import EmbeddingPatching
    from conceptspace.protocols.steering import Steering
    from conceptspace.recording.accelerate import AccelerateRecorder
    from conceptspace.recording.lightning import LightningRecorder
    from conceptspace.recording.recorder import Recorder
    from conceptspace.settings.description import Section
    from conceptspace.space import Concept, ConceptClass, ConceptSpace
    from conceptspace.store import Run
    from conceptspace.training.checkpoint_schedule import checkpoint_steps
    from conceptspace.worlds.arrays import ArrayWorld
    from conceptspace.worlds.config import DataConfig
    from conceptspace.worlds.datasets import from_huggingface, from_torch
    from conceptspace.worlds.folder import FolderWorld
    from conceptspace.worlds.naming import SpacePrompts, named_space
    from conceptspace.worlds.rendered import RenderedWorld
    from conceptspace.worlds.stored import read_arrays
    from conceptspace.worlds.world import World


__version__ = "0.1.0"

_MODULES = {
    "analysis.reading": "read_trajectory",
    "config": "RunConfig",
    "errors": "UserError",
    "experiment.session": "Session",
    "judges.judge": "Judge Judgement",
    "judges.probe": "ProbeSettings train_probe",
    "judges.zero_shot": "ZeroShot from_clip",
    "models.adapters.diffusers": "from_diffusers from_pipeline",
    "models.adapters.flow": "from_flow",
    "models.adapters.function": "from_function",
    "models.adapters.replay": "replay",
    "models.config": "ModelConfig",
    "models.denoiser": "Accelerated EmbeddingDenoiser",
    "models.generative": (
        "EditableCondition EditableModel FineTunable GenerativeModel Guidable Hookable"
    ),
    "models.noise": "Noise",
    "presentation.page": "write_page",
    "protocols.base": "Costly Protocol",
    "protocols.controls": "MatchedControl",
    "protocols.embedding_steering": "EmbeddingSteering",
    "protocols.ensembling": "PromptEnsemble",
    "protocols.fine_tuning": "FineTuning",
    "protocols.guidance": "Guidance",
    "protocols.intervention": "LatentIntervention",
    "protocols.overprompting": "Overprompting",
    "protocols.patching": "EmbeddingPatching",
    "protocols.steering": "Steering",
    "recording.accelerate": "AccelerateRecorder",
    "recording.lightning": "LightningRecorder",
    "recording.recorder": "Recorder",
    "settings.description": "Section",
    "space": "Concept ConceptClass ConceptSpace",
    "store": "Run",
    "training.checkpoint_schedule": "checkpoint_steps",
    "worlds.arrays": "ArrayWorld",
    "worlds.config": "DataConfig",
    "worlds.datasets": "from_huggingface from_torch",
    "worlds.folder": "FolderWorld",
    "worlds.naming": "SpacePrompts named_space",
    "worlds.rendered": "RenderedWorld",
    "worlds.stored": "read_arrays",
    "worlds.world": "World",
}

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "AccelerateRecorder",
    "Accelerated",
    "ArrayWorld",
    "Concept",
    "ConceptClass",
    "ConceptSpace",
    "Costly",
    "DataConfig",
    "EditableCondition",
    "EditableModel",
    "EmbeddingDenoiser",
    "EmbeddingPatching",
    "EmbeddingSteering",
    "FineTunable",
    "FineTuning",
    "FolderWorld",
    "GenerativeModel",
    "Guidable",
    "Guidance",
    "Hookable",
    "Judge",
    "Judgement",
    "LatentIntervention",
    "LightningRecorder",
    "MatchedControl",
    "ModelConfig",
    "Noise",
    "Overprompting",
    "ProbeSettings",
    "PromptEnsemble",
    "Protocol",
    "Recorder",
    "RenderedWorld",
    "Run",
    "RunConfig",
    "Section",
    "Session",
    "SpacePrompts",
    "Steering",
    "UserError",
    "World",
    "ZeroShot",
    "checkpoint_steps",
    "from_clip",
    "from_diffusers",
    "from_flow",
    "from_function",
    "from_huggingface",
    "from_pipeline",
    "from_torch",
    "named_space",
    "read_arrays",
    "read_trajectory",
    "replay",
    "train_probe",
    "write_page",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'conceptspace' has no attribute {name!r}")
    return getattr(import_module(f"conceptspace.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
