"""One source beside the sum of all others: what is summed, what it scores, and what is refused."""

import museval
import numpy as np
import pytest
import soundfile
import torch

from unmix.data import pcm
from unmix.data.tracks import AudioFile, Track
from unmix.evaluation import metrics, scenarios, scores, track_scoring
from unmix.evaluation.estimates import Estimates, Sources
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.separation import SeparationTest, in_scenario

RATE = 8000
NAMES = ("drums", "vocals", "bass")
ORDER = ("SDR", "ISR", "SIR", "SAR")  # museval's


class Leaking(SeparationTest):
    """Estimates every source with some of the mixture and an echo, in blocks of 5000 samples."""

    targets = NAMES

    def separate(self, track):
        mixture, sources = (Sources(track, names)(0, track.num_samples) for names in (["mixture"], NAMES))
        yield from leaking(sources, mixture).split(5000, dim=-1)


def leaking(source, mixture):
    return 0.8 * source + 0.1 * mixture + 0.05 * source.roll(700, dims=-1)  # later than the filters of BSS Eval reach


@pytest.fixture
def track(tmp_path):
    generator = torch.Generator().manual_seed(0)
    stems = dict(zip(NAMES, torch.randint(-8000, 8000, (3, 2, 3 * RATE), generator=generator) / 32768, strict=True))
    files = {}
    for name, samples in {"mixture": sum(stems.values()), **stems}.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, samples.T.numpy(), RATE, subtype="PCM_16")
        files[name] = AudioFile(path, pcm.read_header(path), path.stat().st_size)
    return Track("A - B", files)


def separated(track, tmp_path, source):
    """Names and estimates of the test module in a scenario."""
    module = in_scenario(Leaking, source)([track], EvaluationFolder(tmp_path))
    return module.targets, module.test_step(torch.tensor([0]), 0)["estimates"]


def test_vocals_and_accompaniment_have_museval_s_scores_of_two_sources(track, tmp_path):
    names, estimates = separated(track, tmp_path, "vocals")
    assert names == ("vocals", "accompaniment")
    (store,) = track_scoring.score_track(
        track.name, names, Sources(track, names), [estimates], track.num_samples, sample_rate=RATE
    )
    drums, vocals, bass = sources = Sources(track, NAMES)(0, track.num_samples).double()
    leaks = [leaking(source, sources.sum(dim=0)) for source in sources]
    both = torch.stack([vocals, drums + bass]), torch.stack([leaks[1], leaks[0] + leaks[2]])
    ratios = museval.evaluate(*(stems.transpose(1, 2).numpy() for stems in both), win=RATE, hop=RATE)
    for i, row in enumerate(scores.of_track("ours", track.name, store)):
        expected = {name: np.median(values[i]) for name, values in zip(ORDER, ratios, strict=True)}
        ours = {name: row.metrics[name] for name in expected}
        assert ours == pytest.approx(expected, abs=2e-5), "of estimates and scores that were rounded"
        assert row.target == names[i]
    assert metrics.scenario(names) == "vocals, accompaniment"


def test_without_a_scenario_every_source_is_estimated(track, tmp_path):
    names, estimates = separated(track, tmp_path, None)
    assert names == NAMES
    assert isinstance(estimates, Estimates)
    assert estimates(0, 10).shape == (3, 2, 10)


def test_an_accompaniment_that_has_a_file_is_read_from_it(track):
    files = {"mixture": track.files["mixture"], "vocals": track.files["vocals"], "accompaniment": track.files["bass"]}
    read = Sources(Track("A - B", files), ["vocals", "accompaniment"])(0, 100)
    assert torch.equal(read, Sources(track, ["vocals", "bass"])(0, 100))


@pytest.mark.parametrize("source", [None, "vocals"])
def test_a_source_beside_all_others_is_allowed(source):
    scenarios.check(source, ["vocals", "drums", "bass", "other"])
    scenarios.check(source, ["vocals", "accompaniment"])


@pytest.mark.parametrize(
    ("source", "sources", "message"),
    [
        (
            "vocal",
            ("vocals", "drums"),
            "evaluation.scenario: got 'vocal', allowed vocals, drums; did you mean",
        ),
        ("accompaniment", ("vocals", "accompaniment"), "evaluation.scenario: got 'accompaniment', allowed vocals"),
        ("vocals", ("vocals",), "evaluation.scenario: got 'vocals', which is the only source"),
        ("vocals", ("vocals", "drums", "accompaniment"), "is one of the sources vocals, drums, accompaniment"),
    ],
)
def test_a_source_without_an_accompaniment_is_refused(source, sources, message):
    with pytest.raises(ValueError) as refused:
        scenarios.check(source, sources)
    assert message in str(refused.value)


FOUR, TWO = ("vocals", "drums", "bass", "other"), ("vocals", "accompaniment")


@pytest.mark.parametrize(("published", "scored"), [(FOUR, FOUR), ((*FOUR, "accompaniment"), TWO), (FOUR, ())])
def test_published_scores_of_the_same_scenario_compare(published, scored):
    scenarios.check_published("compare", "x", published, scored)


@pytest.mark.parametrize(("published", "scored"), [(FOUR, TWO), ((*FOUR, "accompaniment"), ("drums", "accompaniment"))])
def test_published_scores_of_another_scenario_are_refused(published, scored):
    with pytest.raises(ValueError, match=r"^compare: got 'x', which was not published in the scenario .*sisec18:TAK1$"):
        scenarios.check_published("compare", "x", published, scored)
