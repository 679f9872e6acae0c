"""What the engine puts into a model, where, and that it tells so."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from conceptspace.engine.device import device
from conceptspace.engine.replacing import (
    BLOCKS,
    CONVOLUTIONS,
    KINDS,
    NORMS,
    accelerates,
    fuse,
    fused,
)
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.models.unet import ResidualBlock, UNetTrunk
from fused import embeddings, image, trunk
from tiny import tiny_config


def blocks(made):
    return sum(isinstance(module, ResidualBlock) for module in made.modules())


def test_every_layer_that_fits_is_replaced_and_counted():
    made = trunk()
    count = blocks(made)
    assert fused(made) == {NORMS: 2 * count + 1, CONVOLUTIONS: 2 * count, BLOCKS: count}
    assert fused(fuse(made)) == fused(made), "once is enough"


def test_only_what_was_asked_for_is_replaced_and_it_can_be_put_back():
    made = trunk()
    names = list(made.state_dict())
    expected = made(image(), embeddings(made))
    for kind in KINDS:
        assert set(fused(fuse(made, kinds=[kind]))) == {kind}
    assert fused(fuse(made, kinds=[])) == {}
    assert type(made.norm_out) is nn.GroupNorm
    assert list(made.state_dict()) == names
    found = made(image(), embeddings(made))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_widths_that_no_kernel_takes_stay():
    sizes = {"blocks": 1, "heads": 1, "dropout": 0.0, "norm": "group", "groups": 4}
    made = fuse(UNetTrunk(3, 3, channels=(12,), **sizes))
    assert set(fused(made)) == {NORMS}


def test_layers_of_one_s_own_stay():
    class Own(nn.GroupNorm):
        pass

    made = fuse(trunk(), kinds=[])
    made.norm_out = Own(4, 32)
    fuse(made)
    assert type(made.norm_out) is Own


def test_a_model_of_a_config_is_fused():
    made = parts.model(tiny_config())
    assert fused(made)[NORMS] == 2 * blocks(made) + 1


class TestDevices:
    def test_a_device_that_is_not_there_is_told(self):
        for name in ("mps", "cuda"):
            if not getattr(torch, name).is_available():
                with pytest.raises(UserError, match=f"--device {name} was asked for, but"):
                    device(name)
        with pytest.raises(UserError, match="one of auto, cpu, cuda, mps, not 'tpu'"):
            device("tpu")

    def test_cpu_is_always_there(self):
        assert device("cpu") == torch.device("cpu")
        assert device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")

    def test_elsewhere_models_compute_as_they_are(self):
        assert accelerates(torch.device("cpu"))
        assert not accelerates(torch.device("mps"))
