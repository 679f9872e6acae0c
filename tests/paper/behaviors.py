"""How runs behave of which it is known what a figure has to find in them."""

from __future__ import annotations

from conceptspace.sweeps.plan import Plan
from planted import Behavior


def early(plan: Plan) -> float:
    """A little of everything by seed, at most one checkpoint."""
    return 35.0 * (plan.config.seed % 3)


def sweep(plan: Plan) -> Behavior:
    """Larger separations are faster; color overtakes size at 0.35."""
    data = plan.config.data
    turn = 3400 - 4400 * data.color_separation - 2500 * (data.size_separation - 0.4)
    corner = "01" if data.color_separation < 0.35 else "10"
    return Behavior(turn + early(plan), corner)


def flat(plan: Plan) -> Behavior:
    """Nothing depends on the separation, and nothing turns but the training classes."""
    return Behavior(1200, None, train_turn=1200)


CONTROLS = ("overprompting-size", "latent-control-scaling", "latent-control-random")
WAYS = ("overprompting-color", "latent-intervention")


def hidden(plan: Plan) -> Behavior:
    """Elicited at step 700; naive prompting is slower by far, in some seeds it never arrives."""
    turns = dict.fromkeys((*WAYS, "patching"), 700 + early(plan))
    naive = (2000.0, 2600.0, 3200.0, 9999.0)[plan.config.seed % 4]
    return Behavior(naive, "01", protocols=turns | dict.fromkeys(CONTROLS, 9999.0))


def plain(plan: Plan) -> Behavior:
    """No protocol makes more than naive prompting does, the controls make it first."""
    turns = dict.fromkeys((*WAYS, "patching"), 3000.0)
    return Behavior(1500 + early(plan), "01", protocols=turns | dict.fromkeys(CONTROLS, 300.0))


def unspecific(plan: Plan) -> Behavior:
    """Elicited early, and by a random displacement as well."""
    turns = dict.fromkeys((*WAYS, "latent-control-random"), 700 + early(plan))
    return Behavior(2600, "01", protocols=turns)


def in_some(plan: Plan) -> Behavior:
    """Hidden in half of the seeds."""
    return hidden(plan) if plan.config.seed % 2 else plain(plan)


def only_fast(plan: Plan) -> Behavior:
    """Hidden under the preset's sampler, not under the paper's."""
    return plain(plan) if plan.config.evaluate.sampler == "ancestral" else hidden(plan)


def masking(plan: Plan) -> Behavior:
    """The color's end moves linearly with the share, and so does the step."""
    share = plan.config.data.masked_share
    turn = 500 + 1500 * share + early(plan)
    faster = {"overprompting-color": 400.0}
    return Behavior(turn, "01", (1 - share, 1.0), protocols=faster)


def delay(plan: Plan) -> Behavior:
    """The step grows with the share; where everything is masked it never comes."""
    share = plan.config.data.masked_share
    return Behavior(500 + 1500 * share + early(plan), "01", (0.0, 1.0) if share == 1 else None)


def no_masking(plan: Plan) -> Behavior:
    """The share makes it faster, if anything, and ends where it would without."""
    return Behavior(1200 - 400 * plan.config.data.masked_share + early(plan), "01")


def three(plan: Plan) -> Behavior:
    """The success arrives; in the failure the background stays bright."""
    if plan.name.startswith("three-success"):
        return Behavior(1500 + early(plan), "010")
    return Behavior(1500 + early(plan), "010", (1.0, 0.05, 1.0))


def three_swapped(plan: Plan) -> Behavior:
    """The other way round, and taken for another class."""
    failing = plan.name.startswith("three-success")
    return Behavior(1500 + early(plan), "001", (1.0, 0.05, 1.0) if failing else None)


def turning(plan: Plan) -> Behavior:
    """All turn, and all weights at the same step."""
    return Behavior(1150, "01", protocols={"guidance": 1150})


def smooth(plan: Plan) -> Behavior:
    """The trajectory gets to the corner and turns at once; the loss is smooth."""
    return Behavior(2200, "01", rise=900)


def dropping(plan: Plan) -> Behavior:
    """The loss drops where the trajectory turns."""
    return Behavior(2200, "01", rise=900, drop=1840)


def guided_first(plan: Plan) -> Behavior:
    """Guidance of the largest weight makes the class long before a weight of 1 does."""
    return Behavior(2800 + early(plan), "01", rise=900.0, protocols={"guidance 5": 1150})


def patched_late(plan: Plan) -> Behavior:
    """Patching works long after the other protocols do."""
    return Behavior(
        1700 + early(plan), "01", protocols=dict.fromkeys(WAYS, 700.0) | {"patching": 2800.0}
    )


def clipping(plan: Plan) -> Behavior:
    """A learned schedule and a tight clip norm delay everything; alone neither does."""
    tight = plan.config.train.clip_norm < 1 and plan.config.model.schedule == "learned_linear"
    return Behavior(1000, "01", rise=(900.0 if tight else 150.0) + early(plan) / 10)


def clipping_anyway(plan: Plan) -> Behavior:
    """The clip norm alone delays; with a learned schedule it speeds up."""
    tight, fixed = plan.config.train.clip_norm < 1, plan.config.model.schedule == "fixed_linear"
    return Behavior(1000, "01", rise=(900.0 if tight == fixed else 150.0) + early(plan) / 10)
