"""The experiments' settings, shared by the figures that look at the same runs.

The quick variants keep the design of each experiment (levels, seeds, protocols) and change its
size. A setting is a name for the folder and the dotted config fields in which it differs from the
preset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conceptspace.presets import PRESETS
from conceptspace.sweeps.plan import Plan, plans
from conceptspace.tables import PATCHING
from conceptspace.worlds.shapes.config import ShapesData

SEEDS = {"quick": tuple(range(200, 208)), "paper": (0, 100, 200, 300, 400)}
"""Seeds of each setting of a sweep, by preset; for ``paper`` those of the published settings.

Those of ``quick`` were fixed before any of their runs, and served no choice of a setting.
"""

STUDIED_SEEDS = {"quick": tuple(range(200, 212)), "paper": SEEDS["paper"]}
"""Seeds of the studied setting (Figs. 1c, 12 and 17)."""

LATER_SEEDS = {"quick": tuple(range(212, 224)), "paper": SEEDS["paper"]}
"""Seeds that left open for how long a capability is hidden (Fig. 6)."""

HIDDEN_SEEDS = {"quick": tuple(range(252, 276)), "paper": SEEDS["paper"]}
"""Seeds of Fig. 6: as many as should be enough to say for how long a capability is hidden."""

COMPARED_SEEDS = {"quick": tuple(range(352, 376)), "paper": SEEDS["paper"]}
"""Further seeds of Fig. 6: its comparisons were chosen anew when the 48 above had been seen."""

GUIDED_SEEDS = {"quick": tuple(range(320, 328)), "paper": SEEDS["paper"]}
"""Seeds of Fig. 16, whose primary endpoint was chosen anew when sixteen others had been seen."""

PATCHED_SEEDS = {"quick": tuple(range(328, 344)), "paper": SEEDS["paper"]}
"""Seeds of Fig. 17, whose primary endpoint was chosen anew when 28 others had been seen."""

MASKED_SEEDS = {"quick": tuple(range(276, 288)), "paper": SEEDS["paper"]}
"""Seeds of Figs. 7b to 10, whose criteria were chosen anew when eight others had been seen."""

HALF_MASKED_SEEDS = {"quick": tuple(range(376, 396)), "paper": ()}
"""Further seeds with half of the prompts masked: what the twelve above left open in Figs. 9a and 10
takes about thirty."""

SAMPLED_SEEDS = {"quick": tuple(range(312, 320)), "paper": SEEDS["paper"]}
"""Seeds that are run under two samplers."""

SPEED_SEEDS = {"quick": tuple(range(240, 248)), "paper": SEEDS["paper"]}
"""Seeds of Fig. 3, whose levels and criterion were chosen anew when those above had been seen."""

SIZE_SEEDS = {"quick": tuple(range(396, 404)), "paper": ()}
"""Further seeds of Fig. 3's sweep of sizes, whose order the eight above left open."""

CLIPPED_SEEDS = {"quick": tuple(range(404, 412)), "paper": ()}
"""Further seeds of the clip norm with a learned schedule, which eight seeds left open."""

REPATCHED_SEEDS = {"quick": tuple(range(412, 420)), "paper": ()}
"""Further seeds of Fig. 17: whether patching makes more than naive prompting was left open."""

PROTOCOLS: tuple[str, ...] = (
    "overprompting-color",
    "overprompting-size",
    "latent-intervention",
    "latent-intervention-text",
    "latent-control-scaling",
    "latent-control-random",
    "patching",
)
"""Every protocol of Figs. 6 and 17, with the controls."""

SAMPLED = ("overprompting-color", "latent-intervention", "latent-control-random")
"""Protocols that are compared under two samplers: those of which a window consists."""

OTHER_SAMPLER = {"quick": ("ancestral", 50), "paper": ("sde-dpmsolver++", 15)}
"""The other sampler, with its steps: for ``quick`` the paper's, and the other way round."""

COLORS = {"quick": (0.1, 0.15, 0.3, 0.6), "paper": (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)}
"""Color separations of Figs. 4, 5 and 13."""

SPEEDS = {"quick": (0.2, 0.3, 0.6), "paper": COLORS["paper"]}
"""Color separations of Fig. 3: of ``quick`` such that most runs arrive at all but the smallest."""

SIZES = {"quick": (0.2, 0.3, 0.4), "paper": (0.1, 0.2, 0.3, 0.4)}
"""Size separations of Fig. 3."""

SIZED = {"quick": 0.6, "paper": 0.4}
"""Color separation of the sweep of sizes: of ``quick`` one at which most runs arrive."""

SHARES = {"quick": (0.0, 0.5, 1.0), "paper": (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)}
"""Shares of masked prompts of Figs. 7b, 8 and 9."""

STUDIED = {"quick": 0.15, "paper": 0.2}
"""The color separation of Figs. 1c, 6 and 12; the paper takes the second from left of Fig. 4."""


def color_runs(preset: str, seeds: Sequence[int], separation: float) -> list[Plan]:
    """Runs of one color separation with naive prompting, the studied one with every protocol."""
    if separation == STUDIED[preset]:
        return studied(preset, seeds)
    changes = {"data.color_separation": separation, "evaluate.protocols": ()}
    return plans(f"color-{separation:g}", preset, seeds, changes)


def studied(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Runs of the studied color separation that are asked in every way.

    Without ``seeds`` those of :data:`STUDIED_SEEDS`.
    """
    separation = STUDIED[preset]
    protocols = PROTOCOLS
    if preset == "quick":
        protocols = (*PRESETS[preset]().evaluate.protocols, PATCHING)
    changes = {"data.color_separation": separation, "evaluate.protocols": protocols}
    return plans("studied", preset, seeds or STUDIED_SEEDS[preset], changes)


def sampled(preset: str, seeds: Sequence[int]) -> list[Plan]:
    """The studied setting under the preset's own sampler, then under the other one.

    On one kind of processor the training of a seed is the same in both, to the byte. That is why
    the first is run again, too: other processors give a seed another trajectory.
    """
    own = PRESETS[preset]().evaluate
    found: list[Plan] = []
    for sampler, steps in ((own.sampler, own.sampling_steps), OTHER_SAMPLER[preset]):
        changes = {
            "data.color_separation": STUDIED[preset],
            "evaluate.sampler": sampler,
            "evaluate.sampling_steps": steps,
            "evaluate.protocols": SAMPLED,
        }
        found += plans(f"sampler-{sampler}", preset, seeds, changes)
    return found


def size_runs(preset: str, seeds: Sequence[int], separation: float) -> list[Plan]:
    """Runs of one size separation with naive prompting, colors as far apart as :data:`SIZED`."""
    if separation == ShapesData.of(PRESETS[preset]().data).size_separation:
        return color_runs(preset, seeds, SIZED[preset])
    changes = {
        "data.color_separation": SIZED[preset],
        "data.size_separation": separation,
        "evaluate.protocols": (),
    }
    return plans(f"size-{separation:g}", preset, seeds, changes)


def masked(preset: str, seeds: Sequence[int], share: float) -> list[Plan]:
    """Runs on color and shape whose red triangles have no color in a share of their prompts.

    At a share of one half they are asked by overprompting, too (Fig. 10). The quick variant takes
    colors 0.4 apart and 6000 steps: in trials (seed 50) color was learned last, unmasked runs
    generalized at about half of that, and at 0.3 only at its end.
    """
    protocols = ("overprompting-color",) if share == 0.5 else ()
    changes: dict[str, Any] = {
        "data.concepts": ("color", "shape"),
        "data.masked_class": "01",
        "data.masked_concept": "color",
        "data.masked_share": share,
        "evaluate.protocols": protocols,
    }
    if preset == "quick":
        changes |= {
            "data.color_separation": 0.4,
            "train.steps": 6000,
            "train.checkpoints": 24,
            "train.first_checkpoint": 250,
        }
    return plans(f"masked-{100 * share:g}", preset, seeds, changes)


def three(preset: str, seeds: Sequence[int], case: str) -> list[Plan]:
    """Runs on color, background and size (paper App. C.4): a "success" or a "failure".

    The success has the strongest color and a weak size; the failure a background that hardly
    changes the image. The quick variant's success has a stronger color and a larger size and is
    longer: of the trials (seed 50) the one that came nearest. The order stays: from 000 the images
    change by 0.115 with the color, 0.061 with the background, 0.049 with the size
    (``conceptspace signal``).
    """
    designs = {
        ("quick", "success"): (0.8, 0.3, 0.4, 6000),
        ("paper", "success"): (0.6, 0.2, 0.3, 80_000),
        ("quick", "failure"): (0.4, 0.05, 0.4, 4000),
        ("paper", "failure"): (0.4, 0.05, 0.4, 80_000),
    }
    color, background, size, steps = designs[preset, case]
    changes: dict[str, Any] = {
        "data.concepts": ("color", "background", "size"),
        "data.color_separation": color,
        "data.background_separation": background,
        "data.size_separation": size,
        "evaluate.protocols": (),
        "train.steps": steps,
    }
    if preset == "quick":
        changes |= {"train.checkpoints": 20, "train.first_checkpoint": steps // 20}
    return plans(f"three-{case}", preset, seeds, changes)


def patched(preset: str, seeds: Sequence[int]) -> list[Plan]:
    """Runs whose every checkpoint is asked with the last one's embedding, too (Fig. 17).

    The quick variant takes colors 0.3 apart: of the eight naive runs of Fig. 4 there six arrive at
    the OOD class and stay, of the twelve of the studied separation one.
    """
    if preset != "quick":
        return studied(preset, seeds)
    changes = {
        "data.color_separation": 0.3,
        "evaluate.protocols": ("overprompting-color", "latent-intervention", PATCHING),
    }
    return plans("patched", preset, seeds, changes)


def guided(preset: str, seeds: Sequence[int]) -> list[Plan]:
    """Runs trained with condition dropout and asked with several guidance weights (Fig. 16).

    The quick variant takes colors 0.6 apart, where seven of the eight naive runs of Fig. 4 arrive
    at the OOD class, and leaves out a tenth of the prompts, as the published code does: with a
    fifth none of three seeds stayed there, with any weight.
    """
    changes: dict[str, Any] = {
        "data.color_separation": STUDIED[preset],
        "train.condition_dropout": 0.2,
        "evaluate.protocols": ("guidance",),
    }
    if preset == "quick":
        changes |= {
            "data.color_separation": 0.6,
            "train.condition_dropout": 0.1,
            "evaluate.guidance": (0.0, 1.0, 2.0, 5.0),
            "train.checkpoints": 12,
            "train.first_checkpoint": 200,
        }
    return plans("guidance", preset, seeds, changes)


def clipped(preset: str, seeds: Sequence[int] | None, norms: Sequence[float]) -> list[Plan]:
    """Runs with a learned schedule and, for ``quick``, a fixed one, at several clip norms.

    Without ``seeds`` the learned schedule has :data:`CLIPPED_SEEDS` as well.
    """
    found: list[Plan] = []
    base = PRESETS[preset]()
    schedules = ("learned_linear", "fixed_linear") if preset == "quick" else ("learned_linear",)
    for schedule in schedules:
        further = CLIPPED_SEEDS[preset] if schedule == "learned_linear" else ()
        of = seeds or (*SEEDS[preset], *further)
        for norm in norms:
            if (schedule, norm) == (base.model.schedule, base.train.clip_norm):
                found += color_runs(preset, of, ShapesData.of(base.data).color_separation)
                continue
            changes: dict[str, Any] = {
                "model.schedule": schedule,
                "train.clip_norm": norm,
                "evaluate.protocols": (),
            }
            name = f"clip-{norm:g}-{schedule.removesuffix('_linear')}"
            found += plans(name, preset, of, changes)
    return found
