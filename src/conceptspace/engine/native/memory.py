"""What the C library does with memory that was freed."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_INT = 2**31 - 1
_LARGEST_EVERYWHERE = 32 * 2**20


@cache
def keep_freed_memory() -> bool:
    """Let this process keep what it frees, for the next tensor of the same size.

    By default glibc takes large blocks from the kernel and gives them back at once, and a training
    step then spends a tenth of its time or more on new pages (docs/performance.md).

    Returns:
        Whether the C library knows how: glibc does, others do as they always do.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    kept = mallopt(_M_MMAP_THRESHOLD, _LARGEST_INT) or mallopt(
        _M_MMAP_THRESHOLD, _LARGEST_EVERYWHERE
    )
    return bool(kept and mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))
