"""A world and a network of one's own in a file each, those of the docs, and a protocol."""

from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
WORLD = (EXAMPLES / "stripes.py").read_text()
NETWORK = (EXAMPLES / "mlp.py").read_text()
PROTOCOL = '''
from typing import ClassVar

import conceptspace as cs


class Louder(cs.Section):
    """h' = factor * h, for every class."""

    name: ClassVar[str] = "louder"
    factors: tuple[float, ...] = (1.5, 2.0)
    """By how much."""

    def settings(self, concept_class):
        return {f"{k:g}": lambda model, h, k=k: (model, k * h) for k in self.factors}
'''
