from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from conceptspace.worlds.conditioning import Conditioning, mask_share
from conceptspace.worlds.dataset import Masking, split_dataset
from conceptspace.worlds.shapes.world import COLUMNS
from tiny import tiny_world

NAMES = st.sampled_from(sorted(COLUMNS))


@given(st.sets(NAMES))
def test_h_shows_the_conditioned_variables_and_nothing_else(names):
    z = torch.rand(4, 11) + 0.5
    h = Conditioning(tuple(names))(z)
    for name, columns in COLUMNS.items():
        expected = z[:, columns] if name in names else torch.zeros_like(z[:, columns])
        assert torch.equal(h[:, columns], expected)


def test_columns_cover_h_once():
    covered = [i for columns in COLUMNS.values() for i in range(11)[columns]]
    assert sorted(covered) == list(range(11))


@given(NAMES, st.floats(0, 1), st.integers(1, 60), st.integers(0, 2**31))
def test_the_share_is_met_exactly_and_only_the_concept_is_masked(name, share, count, seed):
    h = torch.rand(count, 11) + 0.5
    masked = mask_share(h, name, share, torch.Generator().manual_seed(seed))
    rows = (masked[:, COLUMNS[name]] == 0).all(1)
    assert abs(int(rows.sum()) - share * count) <= 0.5
    assert torch.equal(masked[~rows], h[~rows])
    kept = [i for i in range(11) if i not in range(11)[COLUMNS[name]]]
    assert torch.equal(masked[:, kept], h[:, kept])
    assert (h > 0).all(), "the argument is not changed"


def test_rows_are_chosen_by_the_seed():
    h = torch.ones(50, 11)
    first, again, other = (
        mask_share(h, "color", 0.5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@given(st.floats(0, 1), st.sampled_from(["00", "01", "10"]), st.sampled_from(["color", "size"]))
def test_only_training_prompts_of_one_class_are_masked(share, concept_class, concept):
    world, shown = tiny_world(resolution=4), Conditioning(("color", "size"))

    def split(masking):
        return split_dataset(
            world, shown, images_per_class=20, validation_share=0.25, seed=1, masking=masking
        )

    train, validation = split(Masking(concept_class, concept, share))
    whole, whole_validation = split(None)
    assert torch.equal(train.images, whole.images), "masking touches prompts, not images"
    assert torch.equal(validation.h, whole_validation.h)
    first = 15 * world.space.train_classes.index(concept_class)
    inside = slice(first, first + 15)
    changed = (train.h != whole.h).any(1)
    assert abs(int(changed[inside].sum()) - share * 15) <= 0.5
    assert int(changed.sum()) == int(changed[inside].sum())
    assert (train.h[changed][:, COLUMNS[concept]] == 0).all()
