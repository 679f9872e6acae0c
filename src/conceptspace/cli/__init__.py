"""The command ``conceptspace``; heavy imports wait until a command needs them."""

from conceptspace.cli.entry import main

__all__ = ["main"]
