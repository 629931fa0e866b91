"""Test modules: which rank separates which track, and what is refused."""

from types import SimpleNamespace

import pytest
import soundfile
import torch

from unmix.data import pcm
from unmix.data.tracks import AudioFile, Track
from unmix.dsp.stft import Stft
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.separation import ModelsTest, OracleTest, SeparationTest, separator_of
from unmix.models.joined import join
from unmix.models.open_unmix import UMX


class Half(SeparationTest):
    """Estimates half of the mixture as `all`, in blocks of 40 samples, of which it may leave out the last."""

    targets = ("all",)
    num_blocks = None

    def separate(self, track):
        mixture = torch.from_numpy(soundfile.read(track.path("mixture"), dtype="float32")[0].T)
        yield from list((mixture / 2)[None].split(40, dim=-1))[: self.num_blocks]


@pytest.fixture
def make_track(tmp_path):
    def make(name, num_samples=100, num_channels=2):
        path = tmp_path / f"{name}.wav"
        noise = torch.rand(num_samples, num_channels, generator=torch.Generator().manual_seed(num_samples)) - 0.5
        soundfile.write(path, noise.numpy(), 44100, subtype="FLOAT")
        return Track(name, {"mixture": AudioFile(path, pcm.read_header(path), path.stat().st_size)})

    return make


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 7])
@pytest.mark.parametrize("num_tracks", [1, 5])
def test_every_track_is_separated_by_exactly_one_rank(num_ranks, num_tracks, tmp_path):
    tracks, shared = [SimpleNamespace(name=str(i)) for i in range(num_tracks)], []
    for rank in range(num_ranks):
        module = Half(tracks, EvaluationFolder(tmp_path))
        module._trainer = SimpleNamespace(global_rank=rank, world_size=num_ranks)
        shared += [int(index) for batch in module.test_dataloader() for index in batch]
    assert sorted(shared) == list(range(num_tracks))


def test_a_step_writes_the_estimates_of_its_track(make_track, tmp_path):
    tracks = [make_track("one"), make_track("two", num_samples=90)]
    estimates = Half(tracks, EvaluationFolder(tmp_path)).test_step(torch.tensor([1]), 0)["estimates"]
    expected = torch.from_numpy(soundfile.read(tracks[1].path("mixture"), dtype="float32")[0].T) / 2
    assert torch.equal(estimates(0, 90)[0], expected)
    assert estimates.path.name == ".two.f32"


def test_estimates_of_another_length_than_the_track_are_refused(make_track, tmp_path):
    module = Half([make_track("one")], EvaluationFolder(tmp_path))
    module.num_blocks = 2
    with pytest.raises(ValueError, match="one: got estimates of 80 samples, the track has 100"):
        module.test_step(torch.tensor([0]), 0)


@pytest.fixture(scope="module")
def model():
    return UMX(("bass",), Stft(512, 128), hidden_size=8).eval()


def test_tracks_in_another_format_than_the_models_were_trained_on_are_refused(make_track, tmp_path, model):
    separator = join([model], niter=0)
    assert ModelsTest(separator, [make_track("stereo")], EvaluationFolder(tmp_path)).targets == ("bass",)
    with pytest.raises(ValueError, match="data: mono has 44100 Hz and 1 channel, the models were trained on 44100 Hz"):
        ModelsTest(separator, [make_track("mono", num_channels=1)], EvaluationFolder(tmp_path))


def test_models_separate_a_whole_track(make_track, tmp_path, model):
    track = make_track("one", num_samples=4000)
    module = ModelsTest(
        separator_of(SimpleNamespace(model=model, device="cpu"), niter=0), [track], EvaluationFolder(tmp_path)
    )
    with torch.no_grad():
        blocks = torch.cat(list(module.separate(track)), dim=-1)
    assert blocks.shape == (1, 2, 4000)


def test_an_oracle_separates_into_the_named_targets(make_track, tmp_path):
    track = make_track("one", num_samples=6000)
    track = Track("one", dict.fromkeys(("mixture", "drums", "bass"), track.files["mixture"]))
    module = OracleTest("irm1", ["drums", "bass"], [track], EvaluationFolder(tmp_path))
    blocks = torch.cat(list(module.separate(track)), dim=-1)
    mixture = torch.from_numpy(soundfile.read(track.path("mixture"), dtype="float32")[0].T)
    assert blocks.shape == (2, 2, 6000)
    assert (blocks - mixture / 2).abs().max() < 1e-5  # equal sources share the mixture equally
