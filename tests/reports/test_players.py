"""Players of notebooks: what is shown, and what is heard."""

import base64
import re
from io import BytesIO

import pytest
import soundfile
import torch

from unmix.reports.players import Players

RATE = 44100


def heard(html):
    """Waveforms in the page, (channels, samples)."""
    sounds = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', html)
    return [soundfile.read(BytesIO(base64.b64decode(sound)), always_2d=True)[0].T for sound in sounds]


def tone(level, channels):
    return level * torch.sin(torch.arange(RATE) * 0.05).expand(channels, -1)


def test_every_waveform_is_heard_at_its_own_level():
    loud, quiet = heard(Players({"loud": tone(0.8, 2), "quiet": tone(0.02, 1).numpy()}, RATE)._repr_html_())
    assert (len(loud), len(quiet)) == (2, 1)
    assert abs(loud).max() == pytest.approx(0.8, abs=0.05)
    assert abs(quiet).max() == pytest.approx(0.02, abs=0.005)


def test_names_are_shown_as_they_are_given():
    html = Players({'<b> & "x"': tone(0.5, 1)}, RATE)._repr_html_()
    assert "<b>" not in html
    assert html.count("&lt;b&gt; &amp; &#34;x&#34;") == 2


def test_without_html_the_names_are_listed():
    assert repr(Players({"mixture": tone(0.5, 1), "vocals": tone(0.5, 1)}, RATE)) == "2 players: mixture, vocals"
