"""One self-contained offline HTML page of one or several runs."""

from conceptspace.presentation.report.payload import payload
from conceptspace.presentation.report.render import Finding, render, write

__all__ = ["Finding", "payload", "render", "write"]
