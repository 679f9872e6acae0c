"""The tiny run of the campaign: its config, and everything of it that must be the same."""

from __future__ import annotations

from pathlib import Path

from tiny import tiny_config

PLANNED = [0, 1, 2]
"""Its checkpoints."""

CONFIG = tiny_config(
    model__channels=(8,),
    train__steps=2,
    train__checkpoint_steps=PLANNED,
    probe__steps=1,
    probe__batch_size=64,
    evaluate__sampling_steps=1,
    evaluate__strengths=[1.5],
    evaluate__protocols=["overprompting-color"],
)


def config_file(folder: Path) -> Path:
    """The config, as a file."""
    path = folder / "tiny.toml"
    if not path.exists():
        path.write_text(CONFIG.to_toml())
    return path


def contents(run: Path) -> dict[str, bytes]:
    """Everything that has to be the same, to the byte."""
    patterns = ("checkpoints/*", "trajectory.parquet", "samples/*/*", "scores/*/*")
    files = [path for pattern in patterns for path in run.glob(pattern)]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}
