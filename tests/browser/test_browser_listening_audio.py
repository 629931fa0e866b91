"""What the listening page sends to the loudspeakers, rendered by the page's own player without them."""

import base64
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import listening
import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page

RATE = 44100
# Renders what a player plays: `clips` are waveforms, each a method of one stem; ACTIONS are [seconds, function].
RENDER = """async ([clips, seconds, region]) => {
  const context = new OfflineAudioContext({ length: seconds * 44100, sampleRate: 44100 });
  const player = new Player();
  Object.assign(player, { context, master: new GainNode(context), region });
  player.master.connect(context.destination);
  player.clips = clips.map((bytes, method) => {
    const samples = new Float32Array(Uint8Array.from(atob(bytes), (byte) => byte.charCodeAt(0)).buffer);
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: 44100 });
    buffer.copyToChannel(samples, 0);
    return { method, stem: 0, buffer };
  });
  const only = (method) => (clip) => (clip.method === method ? 1 : 0);
  player.level = only(0);
  player.startAt(0);
  const acting = [ACTIONS].map(async ([time, action]) => {
    await context.suspend(time);
    action();
    await context.resume();
  });
  const [rendered] = await Promise.all([context.startRendering(), ...acting]);
  return TEXT(rendered.getChannelData(0));
}"""
# numbers one by one would take seconds
TEXT = "((samples) => btoa(Array.from(new Uint8Array(samples.buffer), (byte) => String.fromCharCode(byte)).join('')))"
SAME = 1e-4  # a sample early or late makes noise differ by half of full scale
FADE = round(0.01 * RATE)  # samples of the cross-fade at the end of a loop
START, SETTLED = round(0.02 * RATE), round(0.06 * RATE)  # samples until the player sounds, and until it has faded in


@pytest.fixture
def render(open_page: Callable[..., Page], tmp_path: Path) -> Callable[..., np.ndarray]:
    page = open_page(listening.write(tmp_path, [listening.excerpt(seconds=0.1)]))

    def run(
        clips: Sequence[np.ndarray], actions: Sequence[Any] = (), seconds: float = 1.0, region: Any = None
    ) -> np.ndarray:
        samples = [base64.b64encode(clip.tobytes()).decode() for clip in clips]
        script = RENDER.replace("ACTIONS", ", ".join(f"[{time}, () => {action}]" for time, action in actions))
        return numbers(page.evaluate(script.replace("TEXT", TEXT), [samples, seconds, region]))

    return run


def numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


def samples(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, RATE).astype(np.float32)


def looped(clip: np.ndarray, region: Sequence[float], length: int) -> np.ndarray:
    """So many samples of a loop; before its end it fades into what precedes its start."""
    first, last = (round(second * RATE) for second in region)
    position = first + np.arange(length) % (last - first)
    share = np.minimum(1, (last - position) / FADE)
    return share * clip[position] + (1 - share) * clip[position - (last - first)]


SWITCHES = [
    [0.2, "player.setLevels(only(1))"],
    [0.3, "player.setLevels(only(2))"],
    [0.304, "player.setLevels(only(0))"],
]


def test_methods_are_together_to_the_sample_while_the_page_switches(render: Callable[..., np.ndarray]) -> None:
    clip = samples(0)
    out = render([clip, clip, clip], SWITCHES)
    assert np.abs(out[SETTLED:] - clip[SETTLED - START : len(out) - START]).max() < SAME
    apart = render([clip, np.roll(clip, 1), clip], SWITCHES)  # one sample late
    assert np.abs(apart[SETTLED:] - out[SETTLED:]).max() > 0.5


def test_a_switch_is_complete_within_20_ms_and_does_not_click(render: Callable[..., np.ndarray]) -> None:
    high, low = np.full(RATE, 0.5, np.float32), np.full(RATE, -0.5, np.float32)
    out = render([high, low], [[0.2, "player.setLevels(only(1))"]])
    at = int(np.flatnonzero(out[SETTLED:] < 0.4999)[0]) + SETTLED
    assert abs(at - 0.2 * RATE) <= 129  # from the block of samples that is rendered next
    assert np.abs(out[at + round(0.02 * RATE) :] + 0.5).max() < 0.001  # of 1, the difference
    assert np.abs(np.diff(out)).max() < 0.0095


def test_methods_stay_together_through_loops_of_a_region(render: Callable[..., np.ndarray]) -> None:
    clip = samples(1)
    region = [0.1, 0.25]
    out = render([clip, clip, clip], SWITCHES, region=region)
    expected = looped(clip, region, len(out) - START)
    assert np.abs(out[SETTLED:] - expected[SETTLED - START :]).max() < SAME


@pytest.mark.parametrize("region", [[0.2, 0.4037], [0, 1]])
def test_the_end_of_a_loop_does_not_tick(render: Callable[..., np.ndarray], region: list[float]) -> None:
    ramp = np.linspace(-0.5, 0.5, RATE, dtype=np.float32)
    out = render([ramp], seconds=1.5, region=region)
    last = round(region[1] * RATE)
    assert out[SETTLED:].max() > ramp[last - FADE - 2]  # it came to the end,
    assert out[-1] < ramp[round((region[0] + 0.5) * RATE)]  # and began again,
    assert np.abs(np.diff(out[SETTLED:])).max() < 0.003  # without a jump from one to the other


def test_a_jump_and_a_new_loop_fade_and_keep_methods_together(render: Callable[..., np.ndarray]) -> None:
    clip = samples(2)
    for action, position in (("player.seek(0.5)", 0.5), ("player.setRegion([0.6, 0.9])", 0.6)):
        out = render([clip, clip], [[0.2, action], [0.4, "player.setLevels(only(1))"]])
        again = int(np.ceil(0.2 * RATE / 128) * 128) + START
        settled = again + SETTLED - START
        expected = clip[round(position * RATE) :][settled - again : round(0.29 * RATE)]  # before the loop fades
        assert np.abs(out[settled : settled + len(expected)] - expected).max() < SAME
    flat = np.full(RATE, 0.5, np.float32)
    assert np.abs(np.diff(render([flat], [[0.2, "player.seek(0.5)"], [0.5, "player.pause()"]]))).max() < 0.0095


def test_the_page_decodes_the_samples_that_were_written(open_page: Callable[..., Page], tmp_path: Path) -> None:
    excerpt = listening.excerpt(seconds=0.2)
    page = open_page(listening.write(tmp_path, [excerpt]))
    page.evaluate("ready")
    decoded = page.evaluate(
        f"player.clips.map((clip) => [clip.method, clip.stem, {TEXT}(clip.buffer.getChannelData(1))])"
    )
    assert len(decoded) == 13
    for method, stem, values in decoded:
        name = listening.SOURCES[stem]
        written = excerpt.mixture if method == 0 else excerpt.stems[method - 1][name]
        assert np.abs(numbers(values) - written[1].numpy()).max() < 1 / 32768


def test_mp3_clips_have_no_delay(open_page: Callable[..., Page], tmp_path: Path) -> None:
    excerpt = listening.excerpt(seconds=0.5)
    page = open_page(listening.write(tmp_path, [excerpt], kind="mp3"))
    page.evaluate("ready")
    for method in (0, 2):
        buffer = f"player.clips.find((clip) => clip.method === {method}).buffer"
        clip = numbers(page.evaluate(f"{TEXT}({buffer}.getChannelData(0))"))
        written = excerpt.mixture if method == 0 else excerpt.stems[method - 1]["vocals"]
        size = 1 << 16
        spectra = np.fft.rfft(clip, size) * np.fft.rfft(written[0].numpy(), size).conj()
        assert int(np.fft.irfft(spectra).argmax()) == 0


def test_clips_above_full_scale_are_lowered_together(tmp_path: Path) -> None:
    excerpt = listening.excerpt(seconds=0.1)
    excerpt.mixture.mul_(10)
    text = listening.write(tmp_path, [excerpt]).read_text()
    clips = {
        key: soundfile.read(io.BytesIO(base64.b64decode(clip)))[0]
        for key, clip in re.findall(r'id="clip-0-(\d-\d)">(.*?)<', text)
    }
    peak = float(excerpt.mixture.abs().max())
    assert np.abs(clips["0-0"]).max() == pytest.approx(1, abs=1e-3)
    assert np.abs(clips["1-0"].T * peak - excerpt.stems[0]["vocals"].numpy()).max() < peak / 16384
