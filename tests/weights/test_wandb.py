import shutil
from types import SimpleNamespace

import pytest
import torch
import wandb

import unmix


@pytest.fixture
def remote(trained, tmp_path, monkeypatch):
    """A fake W&B with the drums of `trained`; returns the list of downloaded artifacts."""
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


def test_an_artifact_is_read_like_a_checkpoint_and_downloaded_once(remote, trained):
    for _ in range(2):
        separator = unmix.load_separator("wandb:me/unmix/umx-12345678-drums-s42:best", "cpu", niter=0)
    assert separator.targets == ("drums",)
    assert remote == ["me/unmix/umx-12345678-drums-s42:best"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wandb:umx:best", "ckpt: got 'wandb:umx:best', allowed wandb:entity/project/name:alias"),
        ("wandb:me/unmix/umx:best", "cannot be downloaded .*not found.*wandb login"),
    ],
)
def test_malformed_and_missing_artifacts_are_refused(remote, name, message):
    with pytest.raises(ValueError, match=message):
        unmix.load_separator(name, "cpu", niter=0)
