"""What a user sees of data.download=true: fetched before anything else begins, or one line and nothing left behind."""

import pytest

from file_server import Answer, FileServer, published_at, zipped
from unmix.data import download, transfer

pytestmark = pytest.mark.slow


@pytest.fixture
def server(musdb_tree, monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES", (0,))
    with FileServer(zipped(musdb_tree)) as running:
        monkeypatch.setitem(download.ARCHIVES, "musdb18hq", published_at(running))
        yield running


@pytest.fixture
def run(cli, capfd, tmp_path):
    """Run a command whose data are to be fetched into an empty folder; returns exit code, stdout and stderr."""

    def command(name, *arguments):
        paths = [f"paths.data={tmp_path / 'cache'}", f"paths.out={tmp_path / 'out'}"]
        code = cli(name, "data=musdb18hq", "data.download=true", *paths, *arguments)
        return code, *capfd.readouterr()

    return command


SMALL = ["model.hidden_size=16", "trainer.gpus=0", "trainer.max_epochs=1", "data.segment_seconds=0.5"]
SMALL += ["data.samples_per_track=2", "data.batch_size=2", "data.validation_tracks=[Actions - One Minute Smile]"]


def test_check_fetches_the_data_set_and_reports_it(run, server, tmp_path):
    code, out, _ = run("check", "data.validation_tracks=[Actions - One Minute Smile]", "data.segment_seconds=0.5")
    assert code == 0
    assert f"musdb18hq in {tmp_path}/cache/musdb18hq: 4 tracks" in out
    assert "for non-commercial use only" in out
    assert server.asked == [None]


def test_a_dry_run_says_what_would_be_fetched_and_writes_nothing(run, server, tmp_path):
    code, out, _ = run("train", "dry_run=true")
    assert code == 0
    assert f"to fetch first, to {tmp_path}/cache/musdb18hq: {download.ARCHIVES['musdb18hq']}" in out
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [(), ("-m", "target=vocals,drums"), ("-m", "target=vocals,drums", "dry_run=true")])
def test_too_little_room_is_said_before_anything_is_written(run, server, tmp_path, monkeypatch, options):
    monkeypatch.setitem(download.ARCHIVES, "musdb18hq", published_at(server, num_unpacked_bytes=10**18))
    code, _, err = run("train", *options)
    assert code == 2
    assert err.startswith("train: data.root: fetching musdb18hq needs 1000000000.0 GB")
    assert (server.asked, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("options", [(), ("-m", "target=vocals,drums")])
def test_a_download_that_fails_is_one_line_and_leaves_no_run(run, server, tmp_path, options):
    server.answers = [Answer(breaks_after=300_000), Answer(status=503)]
    code, _, err = run("train", *SMALL, *options)
    assert code == 2
    assert err.strip().splitlines()[-1].startswith(f"train: data.download: {server.url} cannot be fetched (the server ")
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.slow
def test_a_run_begins_when_its_data_have_been_fetched(run, server, tmp_path):
    server.answers = [Answer(breaks_after=300_000)]
    code, _, err = run("train", *SMALL, "evaluation.after_training=false")
    assert code == 0, err
    assert len(list((tmp_path / "out").glob("runs/*/vocals-s42/checkpoints/best.ckpt"))) == 1
    assert len(server.asked) == 2


def test_data_that_are_not_published_are_refused(cli, capfd):
    assert cli("train", "data=own", "data.root=/x", "data.validation_tracks=[a]", "data.download=true") == 2
    assert capfd.readouterr().err.startswith("train: data.download: got true, but data.name=own cannot be fetched")
