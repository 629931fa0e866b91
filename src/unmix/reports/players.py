"""Audio players for notebooks: several waveforms below each other, at their own levels."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from unmix.dsp.arrays import Samples, as_tensor
from unmix.errors import counted
from unmix.evaluation.passages import mp3


@dataclass(frozen=True)
class Players:
    """Players of waveforms, which a notebook shows when they are the last value of a cell.

    Unlike IPython's `Audio` it changes no level, so that what is quiet is heard as quiet; and it encodes MP3, an eighth
    of the size of WAV.

    Args:
        waveforms: by name, (channels, samples), full scale at 1; tensors or NumPy arrays.
        sample_rate: Hz.
    """

    waveforms: Mapping[str, Samples] = field(repr=False)
    sample_rate: int = 44100

    def __str__(self) -> str:
        return f"{counted(len(self.waveforms), 'player')}: {', '.join(self.waveforms)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """HTML for IPython: a row per waveform, its name above its player."""
        rows = Markup("").join(
            Markup('<div style="margin: 0.6em 0">{}<br>{}</div>').format(name, self._player(name, waveform))
            for name, waveform in self.waveforms.items()
        )
        return str(rows)

    def _player(self, name: str, waveform: Samples) -> Markup:
        sound = base64.b64encode(mp3(as_tensor(name, waveform).float(), self.sample_rate)).decode()
        return Markup(
            f'<audio controls aria-label="{escape(name)}" style="width: 100%; max-width: 32em" '
            f'src="data:audio/mpeg;base64,{sound}"></audio>'
        )
