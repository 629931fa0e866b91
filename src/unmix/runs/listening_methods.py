"""Methods of the listening page: separate tracks and songs, or read what an evaluation saved."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from unmix import finished
from unmix.data import pcm
from unmix.data.datamodule import SeparationDataModule
from unmix.data.tracks import Track
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.separation import ModelsTest, SeparationTest
from unmix.runs.candidates import Candidate
from unmix.runs.separate import separated
from unmix.runs.songs import Audio, Song


class Method:
    """A method that is heard; its models are loaded when a track is separated that no evaluation has saved.

    Attributes:
        can_separate_songs: whether it needs no references, as oracles do.

    Args:
        item: the candidate.
        cfg: configuration of the command.
        datamodule: the data of the tracks.
    """

    def __init__(self, item: Candidate, cfg: DictConfig, datamodule: SeparationDataModule) -> None:
        self.item, self.name, self.gpus = item, item.method, cfg.gpus
        matters = finished.identifying(item.weights, datamodule.splits.fingerprint(), cfg.subset, cfg.separator)
        self.output = EvaluationFolder(item.parent / finished.folder_name(str(datamodule.name), matters))
        self.targets, self.can_separate_songs = item.targets, bool(item.paths)
        self._test: SeparationTest | None = None

    def estimates(self, track: Track, samples: range) -> Tensor:
        """Estimates of an excerpt, (targets, channels, samples): those of separating the whole track."""
        saved = [self.output.estimate(track.name, target) for target in self.targets]
        if all(path.is_file() for path in saved):
            stems = [pcm.FloatReader(path)(samples.start, samples.stop) for path in saved]
            return torch.stack([torch.from_numpy(stem) for stem in stems])
        pieces, position = [], 0
        for block in self._blocks(track):
            first, position = position, position + block.shape[-1]
            pieces.append(block[..., max(0, samples.start - first) : max(0, samples.stop - first)].cpu().clone())
            if position >= samples.stop:
                break  # the blocks after it do not change it
        return torch.cat(pieces, dim=-1)

    def separate(self, song: Song, audio: Audio, samples: range) -> Iterator[Tensor]:
        """Separate a part of a song, converted to the sample rate and channels of the models, block by block.

        Yields (targets, channels, samples), at the rate and with the channels of the song.
        """
        test = self._loaded()
        assert isinstance(test, ModelsTest)
        for _, block in separated(test.separator, len(self.targets), song, audio, samples, test.exact_seconds):
            yield block

    def _blocks(self, track: Track) -> Iterator[Tensor]:
        """Separate a track, block by block."""
        if not isinstance(test := self._loaded(), ModelsTest):
            yield from test.separate(track)
            return
        song = Song(track.path("mixture"), track.sample_rate, track.num_channels, needs_ffmpeg=False)
        with closing(song.open(Path())) as audio:
            yield from self.separate(song, audio, range(track.num_samples))

    def _loaded(self) -> SeparationTest:
        """Load the models at the first call."""
        if self._test is None:
            self._test = self.item.test((), self.output)
            self._test.to("cpu" if self.gpus == 0 or not torch.cuda.is_available() else "cuda")
        return self._test
