import re
import signal
import socket
import urllib.request

import pytest

from command_process import wait_until


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "evaluations" / "hq-test-a").mkdir(parents=True)
    text = '{"num_tracks": 5, "medians": {"mine": {"vocals": {"SDR": 4.0}}, "mixture": {}}}'
    (tmp_path / "evaluations" / "hq-test-a" / "summary.json").write_text(text)
    (tmp_path / "evaluations" / "hq-test-a" / "report.html").write_text("the report")
    return tmp_path


def test_a_port_in_use_is_refused_before_anything_is_written(folder, cli, capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli("leaderboard", f"paths.out={folder}", "serve=true", f"port={port}") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"leaderboard: port: got {port}: address already in use; name a free one")
    assert not (folder / "leaderboard.html").exists()


@pytest.mark.slow
def test_a_served_leaderboard_follows_its_folder_and_ends_at_ctrl_c(folder, start):
    log = folder / "log"
    process = start("leaderboard", f"paths.out={folder}", "serve=true", "port=0", log=log)
    wait_until(lambda: log.is_file() and "(on this machine only" in log.read_text())
    address = re.search(r"http://127.0.0.1:\d+/", log.read_text())[0]

    def read(path=""):
        with urllib.request.urlopen(f"{address}{path}") as answer:
            return answer.read().decode()

    assert "mine/hq-test-a" in read()
    assert read("evaluations/hq-test-a/report.html") == "the report"
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
