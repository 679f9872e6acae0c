"""The kernels of this machine with matrix tiles, in plain C++ where the processor has none."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from conceptspace.engine.native import compiling
from conceptspace.engine.native.compiling import Native, native

FLAGS = ["-include", str(Path(__file__).parent / "engine" / "native" / "emulated_tiles.hpp")]


@cache
def kernels_with_tiles() -> Native:
    """Those of this processor, or compiled with tiles in plain C++ where it has none.

    They have no tiles where the processor lacks AVX512-BF16, and are none without a compiler.
    """
    if native().tiles or native().library is None:
        return native()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "FLAGS", [*compiling.FLAGS, *FLAGS])
        return native.__wrapped__()
