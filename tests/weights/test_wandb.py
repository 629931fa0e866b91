import shutil
from types import SimpleNamespace

import pytest
import torch
import wandb

import unmix


@pytest.fixture
def remote(trained, tmp_path, monkeypatch):
    """A W&B that holds the drums of `trained`, and counts what is fetched from it."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    fetched = []

    def artifact(name, **_):
        if name != "me/unmix/umx-12345678-drums-s42:best":
            raise wandb.errors.CommError(f"artifact {name!r} not found")

        def download(root):
            fetched.append(name)
            (tmp_path / "unmix" / "abc").mkdir(parents=True)
            shutil.copy(trained / "drums-s42" / "checkpoints" / "best.ckpt", tmp_path / "unmix" / "abc" / "model.ckpt")

        return SimpleNamespace(digest="abc", download=download)

    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(artifact=artifact))
    return fetched


def test_an_artifact_is_read_as_a_checkpoint_is_and_fetched_once(remote, trained):
    for _ in range(2):
        separator = unmix.load_separator("wandb:me/unmix/umx-12345678-drums-s42:best", "cpu", niter=0)
    assert separator.targets == ("drums",)
    assert remote == ["me/unmix/umx-12345678-drums-s42:best"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wandb:umx:best", "ckpt: got 'wandb:umx:best', the form is wandb:entity/project/name:alias"),
        ("wandb:me/unmix/umx:best", "cannot be had from W&B .*not found.*wandb login"),
    ],
)
def test_what_wandb_does_not_have_is_said(remote, name, message):
    with pytest.raises(ValueError, match=message):
        unmix.load_separator(name, "cpu", niter=0)
