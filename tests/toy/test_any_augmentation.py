"""An augmentation of the user's own, in the list among the others."""

import pytest
import torch

from unmix.composition import compose
from unmix.runs.build import make_datamodule

pytestmark = pytest.mark.slow

HISS = "{_target_:my_package.augmentation.Hiss,level:0.5}"


def sources_of(small, augmentations):
    module = make_datamodule(compose("train", ["experiment=demo", *small, f"data.augmentations={augmentations}"]).data)
    batch = next(iter(module.train_dataloader()))
    waveforms = module.on_after_batch_transfer(batch, 0)
    torch.testing.assert_close(waveforms["mixture"], sum(waveforms[name] for name in module.sources))
    return torch.stack([waveforms[name] for name in module.sources], dim=1)


def test_it_is_applied_to_the_sources_with_random_numbers_of_its_own(small):
    plain, hissing = sources_of(small, "[gain,swap]"), sources_of(small, f"[{HISS},swap,gain]")
    added = hissing - plain
    levels = added[..., 0]
    torch.testing.assert_close(added[..., ::2], levels[..., None].expand_as(added[..., ::2]), atol=1e-5, rtol=0)
    torch.testing.assert_close(added[..., 1::2], -levels[..., None].expand_as(added[..., 1::2]), atol=1e-5, rtol=0)
    assert 0 <= levels.min() < levels.max() < 0.5
    assert len(levels[..., 0].unique()) == levels[..., 0].numel()


@pytest.mark.slow
def test_a_training_with_it_runs(toy, cli, tmp_path):
    assert (
        cli("train", *toy, f"data.augmentations=[gain,{HISS},{{shift:{{max_seconds:0.1}}}}]", f"paths.out={tmp_path}")
        == 0
    )
    assert list(tmp_path.glob("runs/*/all-s42/checkpoints/best.ckpt"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{_target_:my_package.augmentation.Hiss,levl:1}",
            "data.augmentations[0].levl: got 'levl', allowed level; did",
        ),
        ("{_target_:my_package.augmentation.Hiss,level:high}", "data.augmentations[0].level: got 'high', a number is"),
        ("{_target_:my_package.augmentation.Hiss,level:2}", "data.augmentations[0].level: got 2, allowed up to 1"),
        ("{_target_:my_package.augmentation.Hist}", "there is no 'my_package.augmentation.Hist'"),
        (
            "{_target_:other_package.Hiss}",
            "data.augmentations[0]._target_: got the class 'other_package.Hiss', allowed",
        ),
        (
            "{_target_:my_package.augmentation.NoAugmentation}",
            "in the list, allowed a name, {name: {setting: value}}, or a",
        ),
        ("{shift:{max_second:1}}", "data.augmentations.shift.max_second: got 'max_second', allowed max_seconds, prob"),
        (
            "swp",
            "data.augmentations: got 'swp', allowed activity, same_track, remix, shift, gain, swap, polarity, speed",
        ),
    ],
)
def test_one_that_cannot_be_is_refused_before_anything_is_written(toy, refused, tmp_path, entry, message):
    assert message in refused("train", *toy, f"data.augmentations=[{entry}]", f"paths.out={tmp_path / 'out'}")
