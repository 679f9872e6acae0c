"""Figures: pure functions from tables and class images to matplotlib figures."""

from conceptspace.presentation.figures.conditions import conditions_figure
from conceptspace.presentation.figures.curves import learning_curves
from conceptspace.presentation.figures.elicitation import elicitation_figure
from conceptspace.presentation.figures.guidance import guidance_figure
from conceptspace.presentation.figures.signal import signal_figure
from conceptspace.presentation.figures.story import story_figure
from conceptspace.presentation.figures.strips import image_strips
from conceptspace.presentation.figures.timeline import Span, emergence_timeline
from conceptspace.presentation.figures.trajectory import trajectory_figure
from conceptspace.presentation.figures.underspecification import underspecification_figure
from conceptspace.presentation.figures.window import window_figure
from conceptspace.presentation.style import save

__all__ = [
    "Span",
    "conditions_figure",
    "elicitation_figure",
    "emergence_timeline",
    "guidance_figure",
    "image_strips",
    "learning_curves",
    "save",
    "signal_figure",
    "story_figure",
    "trajectory_figure",
    "underspecification_figure",
    "window_figure",
]
