from __future__ import annotations

import torch

from conceptspace.seeding import generator, stream_seed
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.dataset import split_dataset
from conceptspace.worlds.shapes.world import COLUMNS
from tiny import tiny_world


def split(seed=0, images_per_class=40, validation_share=0.15, **data):
    return split_dataset(
        tiny_world(**data),
        Conditioning(("color", "size")),
        images_per_class=images_per_class,
        validation_share=validation_share,
        seed=seed,
    )


def test_sizes():
    train, validation = split()
    assert (len(train), len(validation)) == (3 * 34, 3 * 6)
    assert train.images.shape == (102, 3, 8, 8)
    assert train.h.shape == (102, 11)
    everything, nothing = split(validation_share=0.0)
    assert (len(everything), len(nothing)) == (120, 0)


def test_the_seed_decides_everything():
    train, validation = split(seed=5)
    again, validation_again = split(seed=5)
    other, _ = split(seed=6)
    assert torch.equal(train.images, again.images)
    assert torch.equal(train.h, again.h)
    assert torch.equal(validation.images, validation_again.images)
    assert not torch.equal(train.images, other.images)


def test_global_random_state_is_neither_used_nor_changed():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first, _ = split()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    assert torch.equal(first.images, split()[0].images)


def test_training_and_validation_share_no_image():
    train, validation = split()
    distances = torch.cdist(train.images.flatten(1), validation.images.flatten(1))
    assert distances.min() > 1e-3


def test_a_class_does_not_depend_on_the_others():
    both, _ = split(train_classes=["00", "10"], ood_classes=["11"])
    alone, _ = split(train_classes=["10"], ood_classes=[])
    assert torch.equal(both.images[34:], alone.images)
    assert torch.equal(both.h[34:], alone.h)


def test_classes_are_drawn_independently():
    """Were they drawn from one seed, the k-th images of all classes would share position."""
    train, _ = split(conditioned=[], images_per_class=100)
    first, second = train.images[:85], train.images[85:170]
    back_first, back_second = first[:, :, 0, 0], second[:, :, 0, 0]
    correlation = torch.corrcoef(torch.stack([back_first.flatten(), back_second.flatten()]))
    assert correlation[0, 1].abs() < 0.25


def test_prompts_belong_to_their_images():
    train, validation = split()
    for part in (train, validation):
        per_class = len(part) // 3
        red_small = slice(per_class, 2 * per_class)
        assert (part.h[red_small, 4] > part.h[red_small, 6]).all()
        assert (part.h[red_small, COLUMNS["size"]] < 0.45).all()
        assert (part.h[: 2 * per_class, 4] > 0.6).all()
        assert (part.h[2 * per_class :, 6] > 0.6).all()
    large = train.h[:, 7] > 0.6
    middle = train.images[large][:, :, 4, 4]
    torch.testing.assert_close(middle, train.h[large][:, 4:7], atol=0.1, rtol=0)


class TestStreams:
    def test_depend_on_seed_and_purpose(self):
        seeds = {
            stream_seed(0, "noise", 1),
            stream_seed(0, "noise", 2),
            stream_seed(1, "noise", 1),
            stream_seed(0, "order", 1),
            stream_seed(0, "noise", 1, 1),
        }
        assert len(seeds) == 5
        assert all(0 <= seed < 2**63 for seed in seeds)

    def test_are_the_same_in_every_process(self):
        assert stream_seed(0, "noise", 1) == 3136146697272329583
        assert generator(3, "a").initial_seed() == stream_seed(3, "a")
