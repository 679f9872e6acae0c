"""Libraries that are imported when a test first uses them, and not when tests are collected."""

from __future__ import annotations

from typing import Any

import pytest


class Later:
    """A library; a test that asks it for something is skipped where it is not installed.

    Every worker collects all tests, and would spend seconds on libraries of which few are asked.
    """

    def __init__(self, name: str, reason: str) -> None:
        self._name, self._reason = name, reason

    def __getattr__(self, name: str) -> Any:
        return getattr(pytest.importorskip(self._name, reason=self._reason), name)
