"""python src/listen.py: excerpts of tracks as every method separates them, in one page."""

import base64
import http.client
import io
import json
import re
import shutil
import socket
import threading

import numpy as np
import pytest
import soundfile
import torch

import unmix
from unmix.composition import compose
from unmix.data.tracks import Track
from unmix.evaluation.scoring import EvaluationFolder
from unmix.runs import listen
from unmix.runs.candidates import each_entry
from unmix.runs.chosen_tracks import chosen_tracks

TRACK = "Some Test - Track"
TARGETS = ("vocals", "drums", "bass", "other")


@pytest.fixture
def page(cli, capfd, tmp_path):
    """Exit code, what was said, and the page if there is one."""

    def run(ckpt, *arguments):
        path = tmp_path / "listening.html"
        code = cli("listen", f"ckpt={ckpt}", f"out={path}", f"paths.out={tmp_path / 'out'}", "gpus=0", *arguments)
        said = capfd.readouterr()
        return code, said.out + said.err, path.read_text() if path.exists() else None

    return run


def content(page):
    return json.loads(re.search(r"id=content>(.*?)</script>", page)[1])


def clip(page, key):
    """Samples of a clip, (channels, samples)."""
    encoded = re.search(rf'id="clip-{key}">(.*?)<', page)[1]
    return soundfile.read(io.BytesIO(base64.b64decode(encoded)), dtype="float32")[0].T


def test_a_page_holds_mixture_references_and_what_every_method_estimates(page, trained, musdb_tree):
    code, said, text = page(f"[{trained},oracle:irm1]", "seconds=1", "start=0.5")
    assert code == 0, said
    assert re.search(r"page: .*listening.html \(\d", said)
    facts = content(text)
    assert facts["methods"] == ["mixture", "reference", trained.name, "oracle-irm1"]
    assert facts["sources"] == list(TARGETS)
    (track,) = facts["tracks"]
    assert (track["name"], track["start"], track["seconds"], track["rate"], track["channels"]) == (
        TRACK,
        0.5,
        1,
        44100,
        2,
    )
    stems = {name: soundfile.read(musdb_tree / "test" / TRACK / f"{name}.wav")[0].T for name in ("mixture", *TARGETS)}
    part = slice(22050, 66150)
    estimates = unmix.load_separator(trained)(stems["mixture"].astype(np.float32)).numpy()
    scale = np.abs(clip(text, "0-0-0")).max() / np.abs(stems["mixture"][:, part]).max()
    assert np.abs(clip(text, "0-0-0") - scale * stems["mixture"][:, part]).max() < 1e-4
    for i, name in enumerate(TARGETS):
        assert np.abs(clip(text, f"0-1-{i}") - scale * stems[name][:, part]).max() < 1e-4
        assert np.abs(clip(text, f"0-2-{i}") - scale * estimates[i][:, part]).max() < 1e-4
        error = stems[name][:, part] - estimates[i][:, part]
        sdr = 10 * np.log10(np.square(stems[name][:, part]).sum() / np.square(error).sum())
        assert track["sdr"][0][i] == pytest.approx(sdr, abs=0.02)
    assert min(track["sdr"][1]) > max(track["sdr"][0])  # the oracle knows


def test_estimates_that_an_evaluation_saved_are_heard_without_loading_a_model(page, trained, monkeypatch):
    job = listen.prepare(compose("listen", [f"ckpt={trained}"]))
    output = listen.Method(job.candidates[0], job.cfg, job.datamodule).output
    assert output.path.parent == trained / "eval"
    for number, name in enumerate(TARGETS):
        path = output.estimate(TRACK, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full((88200, 2), 0.1 * number), 44100)
    monkeypatch.setattr("unmix.runs.candidates.load", lambda *_, **__: pytest.fail("a model was loaded"))
    code, said, text = page(trained, "seconds=1")
    shutil.rmtree(output.path)
    assert code == 0, said
    levels = [clip(text, f"0-2-{i}").mean() for i in range(4)]
    assert levels == pytest.approx([levels[1] * i for i in range(4)], abs=1e-3)
    assert levels[1] > 0.05


def test_a_method_may_lack_sources(page, trained):
    (vocals,) = trained.glob("vocals-*")
    code, said, text = page(f"[{vocals},oracle:mwf]", "seconds=1")
    assert code == 0, said
    (track,) = content(text)["tracks"]
    assert [value is None for value in track["sdr"][0]] == [False, True, True, True]
    assert set(re.findall(r'id="clip-0-(2-\d)"', text)) == {"2-0"}


def test_every_match_of_a_pattern_is_a_method_and_what_has_no_checkpoint_is_none(trained):
    (trained / "notes").mkdir(exist_ok=True)
    methods = each_entry(compose("listen", [f"ckpt='{trained}/*'"]))
    assert [item.targets for item in methods] == [[name] for name in sorted(TARGETS)]
    assert [item.method.split("-")[0] for item in methods] == sorted(TARGETS)


def test_an_mp3_page_is_smaller(page, musdb_tree):
    pages = {
        name: page("oracle:irm1", "data=musdb18hq", f"data.root={musdb_tree}", f"format={name}")
        for name in ("flac", "mp3")
    }
    assert len(pages["mp3"][2]) < len(pages["flac"][2]) / 3
    assert clip(pages["mp3"][2], "0-0-0").shape[1] == pytest.approx(88200, abs=2400)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tracks=Some Test - Trak"],
            "tracks: got 'Some Test - Trak', allowed Some Test - Track; did you mean 'Some Test",
        ),
        (["tracks=[Some Test - Track,b]"], "tracks: got 'b', allowed Some Test - Track"),
        (["tracks=0"], "tracks: got 0, allowed 1 or more"),
        (["seconds=0"], "seconds: got 0, allowed 1 up to 600"),
        (["start=7"], "Some Test - Track: start: got 7 s, the song has 2."),
        (["format=ogg"], "format: got 'ogg', allowed flac, mp3"),
        (["loudness=-20"], "loudness: got -20, but a page keeps the levels of stems; only format=webmushra uses it"),
        (["out=page.wav"], "out: got 'page.wav', the name of a page is needed, as listening.html"),
        (["port=99999", "serve=true"], "port: got 99999, allowed 0 up to 65535"),
        (["subset=valid", "tracks=x"], "tracks: got 'x', allowed Actions - One Minute Smile"),
    ],
)
def test_wrong_values_are_refused_in_one_line(cli, capfd, tmp_path, musdb_tree, arguments, message):
    data = ["ckpt=oracle:irm1", "data=musdb18hq", f"data.root={musdb_tree}", f"paths.out={tmp_path / 'out'}"]
    assert cli("listen", *data, *arguments) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("listen: ")]
    assert line.startswith(f"listen: {message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tracks", "message"),
    [("0", "tracks: got 0, allowed 1 or more"), ("Some Tset", "tracks: got 'Some Tset', allowed Some Test - Track")],
)
def test_tracks_that_are_not_there_are_refused_before_torch_is_imported(
    cli, capfd, monkeypatch, trained, musdb_tree, tracks, message
):
    monkeypatch.setattr("unmix.config.check_targets", lambda *_: pytest.fail("imports the classes"))
    for known in ([f"ckpt={trained}"], ["ckpt=oracle:irm1", "data=musdb18hq", f"data.root={musdb_tree}"]):
        assert cli("listen", *known, f"tracks={tracks}") == 2
        assert capfd.readouterr().err.startswith(f"listen: {message}")


def test_a_track_whose_name_is_a_number_is_chosen_by_it():
    assert chosen_tracks("7", ["1", "7"]) == ["7"]
    assert chosen_tracks("2", ["1", "7", "9"]) == ["1", "7"]
    assert chosen_tracks(["9", "1"], ["1", "7", "9"]) == ["9", "1"]


def test_no_data_and_no_checkpoint_are_refused(cli, capfd, tmp_path):
    assert cli("listen", "ckpt=oracle:irm1") == 2
    assert "data: needed, as oracle:irm1 names none: add data=musdb18hq" in capfd.readouterr().err
    assert cli("listen", f"ckpt={tmp_path}/no*such") == 2
    assert "does not exist" in capfd.readouterr().err


def test_a_port_in_use_is_refused_before_anything_is_separated(cli, capfd, tmp_path, musdb_tree):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        data = ["ckpt=oracle:irm1", "data=musdb18hq", f"data.root={musdb_tree}", f"paths.out={tmp_path / 'out'}"]
        assert cli("listen", *data, "serve=true", f"port={port}") == 2
    assert f"listen: port: got {port}: address already in use" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_page_is_served_to_its_own_address_only(musdb_tree, tmp_path):
    data = ["data=musdb18hq", f"data.root={musdb_tree}", f"paths.out={tmp_path / 'out'}", "gpus=0"]
    job = listen.prepare(compose("listen", ["ckpt=oracle:ibm2", *data, "serve=true", "port=0", "seconds=1"]))
    thread = threading.Thread(target=job.run)
    thread.start()
    try:

        def get(path, host):
            connection = http.client.HTTPConnection("127.0.0.1", job.server.server_port, timeout=60)
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        own = f"127.0.0.1:{job.server.server_port}"
        status, text = get("/", own)
        assert status == 200
        assert content(text)["methods"][2] == "oracle-ibm2"
        assert "id=drop" not in text  # an oracle cannot separate a song without references
        assert get("/", "evil.example")[0] == 403
        for path in ("/listening.html", "/../secret", "/%2e%2e/secret"):
            assert get(path, own)[0] == 404
    finally:
        job.server.shutdown()
        thread.join()


def test_a_song_dropped_on_the_served_page_has_the_stems_that_separate_py_writes(cli, trained, musdb_tree, tmp_path):
    song = musdb_tree / "test" / TRACK / "mixture.wav"
    job = listen.prepare(
        compose(
            "listen",
            [f"ckpt=[{trained},oracle:irm1]", "serve=true", "port=0", "seconds=1", "gpus=0", f"paths.out={tmp_path}"],
        )
    )
    thread = threading.Thread(target=job.run)
    thread.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", job.server.server_port, timeout=60)
        connection.request("GET", "/")
        assert "At most 200 MB, one song" in connection.getresponse().read().decode()
        connection.request("POST", "/songs?name=my%20song.wav&start=0.5", song.read_bytes())
        lines = [json.loads(line) for line in connection.getresponse().read().splitlines()]
    finally:
        job.server.shutdown()
        thread.join()
    assert lines[-1]["track"]["name"] == "my song.wav"
    clips = {line["clip"]: line["audio"] for line in lines if "clip" in line}
    assert sorted(clips) == ["0-0", "2-0", "2-1", "2-2", "2-3"]
    assert (
        cli("separate", f"ckpt={trained}", f"input='{song}'", f"out={tmp_path}", "start=0.5", "duration=1", "gpus=0")
        == 0
    )
    for number, name in enumerate(TARGETS):
        heard = soundfile.read(io.BytesIO(base64.b64decode(clips[f"2-{number}"])))[0]
        assert np.abs(heard - soundfile.read(tmp_path / f"mixture.{name}.wav")[0]).max() < 1e-4


def test_only_the_excerpt_is_kept_and_what_follows_is_not_separated(tmp_path):
    blocks = []

    class Test:
        def to(self, device):
            return self

        def separate(self, track):
            for i in range(1200):  # 20 minutes
                blocks.append(i)
                yield torch.full((1, 2, 1000), float(i))

    method = object.__new__(listen.Method)
    method.name, method.targets, method.gpus = "test", ["vocals"], 0
    method.output = EvaluationFolder(tmp_path)
    method._test = Test()
    track = Track("a", {})
    estimates = method.estimates(track, range(2500, 4500))
    assert estimates.shape == (1, 2, 2000)
    assert estimates[0, 0, ::500].tolist() == [2, 3, 3, 4]
    assert blocks == [0, 1, 2, 3, 4]
