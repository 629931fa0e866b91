from types import SimpleNamespace

import pytest
import torch

from unmix.data.datamodule import SeparationDataModule
from unmix.evaluation import passages
from unmix.reports import listening
from unmix.reports.listening import Listening


class Recorder:
    """A logger that takes sound, and remembers the names of what it was given."""

    def __init__(self):
        self.clips, self.pictures = [], []

    def log_clip(self, name, waveform, sample_rate, step):
        assert (waveform.shape[0], sample_rate, step) == (2, 44100, 7)
        self.clips.append(name)

    def log_picture(self, name, picture, step):
        assert picture.startswith(b"\x89PNG")
        self.pictures.append(name)


@pytest.fixture
def trainer(musdb_tree):
    data = SeparationDataModule(musdb_tree, name="musdb18hq", validation_tracks=["Actions - One Minute Smile"])
    return SimpleNamespace(loggers=[Recorder()], is_global_zero=True, current_epoch=0, global_step=7, datamodule=data)


@pytest.fixture(autouse=True)
def _estimates(monkeypatch):
    monkeypatch.setattr(listening, "separate", lambda module, mixture: torch.stack([mixture] * len(module.targets)))


def show(callback, trainer, *targets, epoch=0):
    trainer.current_epoch = epoch
    callback.on_validation_epoch_end(trainer, SimpleNamespace(targets=targets))
    (recorder,) = trainer.loggers
    shown = recorder.clips, recorder.pictures
    recorder.clips, recorder.pictures = [], []
    return shown


def test_mixture_and_reference_are_logged_once_and_estimates_every_few_epochs(trainer):
    callback, track = Listening(every_n_epochs=2), "Actions - One Minute Smile"
    names = [f"listen/{track}/{stem}" for stem in ("mixture", "reference", "estimate")]
    assert show(callback, trainer, "drums") == (names, [f"look/{track}"])
    assert show(callback, trainer, "drums", epoch=1) == ([], [])
    assert show(callback, trainer, "drums", epoch=2) == (names[-1:], [f"look/{track}"])


def test_several_targets_are_told_apart_by_name(trainer):
    _, pictures = show(Listening(), trainer, "drums", "bass")
    assert [name.rpartition("/")[2] for name in pictures] == ["drums", "bass"]


def test_nothing_is_logged_without_a_logger_that_takes_sound_or_by_other_ranks(trainer):
    trainer.is_global_zero = False
    assert show(Listening(), trainer, "drums") == ([], [])
    trainer.is_global_zero = True
    assert show(Listening(every_n_epochs=0), trainer, "drums") == ([], [])
    trainer.loggers = [object()]
    Listening().on_validation_epoch_end(trainer, SimpleNamespace(targets=("drums",)))


def test_a_clip_is_taken_where_the_target_is_loudest(monkeypatch):
    loud = torch.zeros(2, 2, 100)
    loud[:, :, 40:60] = 1
    monkeypatch.setattr(passages, "SECONDS", 2.0)
    monkeypatch.setattr(listening, "Sources", lambda track, names: lambda start, stop: loud[..., start:stop])
    mixture, reference, rate = listening.loudest(SimpleNamespace(num_samples=100, sample_rate=10), "drums")
    assert (reference == 1).all()
    assert mixture.shape == (2, 20)
    assert rate == 10


@pytest.mark.parametrize("name", ["every_n_epochs", "num_clips"])
def test_negative_numbers_are_refused(name):
    with pytest.raises(ValueError, match=rf"^{name}: got -1, allowed 0 or more"):
        Listening(**{name: -1})
