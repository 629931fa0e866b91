"""Cached files are complete or absent and built once; a folder that cannot be written is named."""

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from command_process import wait_until
from unmix.data import cache


def test_of_many_that_ask_at_once_one_builds(tmp_path):
    builds = []

    def build(path):
        builds.append(path)
        time.sleep(0.1)
        path.write_text("whole")

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: cache.build_once(tmp_path / "a" / "file", build), range(8)))
    assert set(paths) == {tmp_path / "a" / "file"}
    assert (len(builds), paths[0].read_text()) == (1, "whole")


def test_two_processes_build_one_cache_once(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from unmix.data.cache import build_once\n"
        "def build(path):\n"
        "    print('built', flush=True); time.sleep(0.5); path.write_text('whole')\n"
        "build_once(Path(sys.argv[1]), build)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "file")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate()[0] for process in both) == ["", "built\n"]


def test_what_a_killed_process_left_is_not_taken_for_a_result(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from unmix.data.cache import build_once\n"
        "build_once(Path(sys.argv[1]), lambda path: (path.mkdir(), (path / 'half').touch(), os.kill(os.getpid(), 9)))"
    )
    path = tmp_path / "folder"
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -signal.SIGKILL
    assert not path.exists()
    cache.build_once(path, lambda partial: (partial.mkdir(), (partial / "whole").touch()))
    assert [one.name for one in path.iterdir()] == ["whole"]


def test_disk_full_names_the_setting_and_leaves_nothing(tmp_path):
    def build(path):
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    message = r"paths.data: .*file cannot be written \(No space left on device\); make room there, or set UNMIX_DATA"
    with pytest.raises(OSError, match=message):
        cache.build_once(tmp_path / "file", build)
    assert [one.name for one in tmp_path.iterdir() if not one.name.endswith(".lock")] == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"paths.data: .*deep cannot be written \(File exists"):
        cache.build_once(tmp_path / "file" / "deep", lambda path: path.touch())


def test_a_process_that_waits_for_another_one_says_so(tmp_path, caplog):
    with ThreadPoolExecutor(1) as pool, caplog.at_level("INFO"):
        with cache.locked(tmp_path / "tree", when_waiting="waiting"):
            second = pool.submit(lambda: cache.locked(tmp_path / "tree", when_waiting="waiting").__enter__())
            wait_until(lambda: caplog.messages)
            assert not second.done()
        second.result()
    assert caplog.messages == ["waiting"]


def test_rebuilding_keeps_the_last_one_built(tmp_path):
    for text in ("first", "second"):
        cache.rebuild(tmp_path / "file", lambda path, text=text: path.write_text(text))
    assert (tmp_path / "file").read_text() == "second"


@pytest.mark.parametrize("change", ["content", "age", "name", "about"])
def test_another_file_or_another_purpose_has_another_key(tmp_path, change):
    path, about = tmp_path / "a", "statistics"
    path.write_text("x")
    before = cache.cache_key([path], about)
    assert cache.cache_key([path], about) == before
    if change == "content":
        path.write_text("xx")
    elif change == "age":
        os.utime(path, ns=(1, 1))
    elif change == "name":
        path = path.rename(tmp_path / "b")
    else:
        about = "audit"
    assert cache.cache_key([path], about) != before


def test_the_default_folder_is_the_environments(monkeypatch, tmp_path):
    assert str(cache.default_folder()) == os.environ["UNMIX_DATA"]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("UNMIX_DATA")
    assert cache.default_folder() == tmp_path / ".cache" / "unmix"
