from __future__ import annotations

import pytest
import torch

from conceptspace.engine.cuda_graph import Replayed


def test_on_a_cpu_the_function_itself_is_called():
    seen = []

    def double(x, parts):
        seen.append(x)
        return [2 * x, *parts]

    replayed = Replayed(double, torch.device("cpu"))
    x = torch.ones(2)
    first, second = replayed(x, [x])
    assert torch.equal(first, 2 * x)
    assert second is x
    assert seen[0] is x
    assert not replayed.note


@pytest.mark.skipif(torch.cuda.is_available(), reason="recording would succeed")
def test_where_recording_fails_it_says_so_and_goes_on():
    state = torch.zeros(2)
    replayed = Replayed(lambda x: x + 1, torch.device("cuda"), lambda: [state])
    assert torch.equal(replayed(torch.ones(2)), torch.full((2,), 2.0))
    assert replayed.note.startswith("CUDA graphs are not used: ")
    assert torch.equal(replayed(torch.ones(2)), torch.full((2,), 2.0))
    assert torch.equal(state, torch.zeros(2))
