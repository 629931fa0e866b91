"""Small data sets, one per layout: the same songs, arranged differently."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

SOURCES = ("vocals", "drums", "bass", "other")
RATE = 44100
Songs = Mapping[str, Mapping[str, np.ndarray]]


def stems(
    index: int, seconds: float = 1.0, rate: int = RATE, channels: int = 2, sources: Sequence[str] = SOURCES
) -> dict[str, np.ndarray]:
    """int16 by source, (samples, channels): tones over noise, whose sum stays below full scale."""
    generator, num_samples = np.random.default_rng(index), round(seconds * rate)
    time = np.arange(num_samples)[:, None] / rate
    found = {}
    for position, source in enumerate(sources):
        tone = 2000 * np.sin(2 * np.pi * 150 * (position + 1) * time)
        found[source] = (tone + generator.integers(-500, 500, (num_samples, channels))).astype(np.int16)
    return found


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def write_musdb(root: Path, songs: Mapping[str, Songs], rate: int = RATE) -> None:
    for split, tracks in songs.items():
        for name, sources in tracks.items():
            for stem, samples in (*sources.items(), ("mixture", sum(sources.values()))):
                write(root / split / name / f"{stem}.wav", samples, rate)


def write_tracks(root: Path, songs: Mapping[str, Songs], rate: int = RATE) -> None:
    """Files of a mixing desk: two of vocals, none of the mixture."""
    for split, tracks in songs.items():
        for name, sources in tracks.items():
            folder = root / split / name
            lead = sources["vocals"] // 2
            write(folder / "01 Lead Vox.wav", lead, rate)
            write(folder / "02 Backing VOX.flac", sources["vocals"] - lead, rate)
            write(folder / "Kit.wav", sources["drums"], rate)
            write(folder / "Bs.wav", sources["bass"], rate)
            write(folder / "Gtr L.wav", sources["other"], rate)


def write_sources(root: Path, songs: Mapping[str, Songs], rate: int = RATE) -> None:
    for split, tracks in songs.items():
        for name, sources in tracks.items():
            for source, samples in sources.items():
                write(root / split / source / f"{name} {source}.wav", samples, rate)


def write_aligned(root: Path, songs: Mapping[str, Songs], rate: int = RATE) -> None:
    for split, tracks in songs.items():
        for name, sources in tracks.items():
            write(root / split / "noisy" / f"{name}.wav", sum(sources.values()), rate)
            write(root / split / "clean" / f"{name}.wav", sources["vocals"], rate)


def write_csv(root: Path, songs: Mapping[str, Songs], rate: int = RATE) -> None:
    lines = ["path,source,track,start,end,split"]
    for split, tracks in songs.items():
        for name, sources in tracks.items():
            for source, samples in sources.items():
                path = write(root / "audio" / f"{name}.{source}.wav", samples, rate)
                lines.append(f"audio/{path.name},{source},{name},0,{len(samples) / rate},{split}")
    (root / "files.csv").write_text("\n".join(lines))


def write_parquet(root: Path, songs: Mapping[str, Songs], rate: int = RATE) -> None:
    """The table of `write_csv` in the other format, with a weight for each row."""
    import pyarrow
    from pyarrow import csv, parquet

    write_csv(root, songs, rate)
    rows = csv.read_csv(root / "files.csv")
    parquet.write_table(rows.append_column("weight", pyarrow.array([1.5] * len(rows))), root / "files.parquet")
    (root / "files.csv").unlink()


def write_moisesdb(root: Path, songs: Mapping[str, Songs], rate: int = RATE) -> None:
    """The tracks of all splits: MoisesDB has none."""
    for tracks in songs.values():
        for index, (name, sources) in enumerate(tracks.items()):
            folder, listed = root / "moisesdb_v0.1" / f"{name}-{index}", []
            for stem, source in (("vocals", "vocals"), ("drums", "drums"), ("bass", "bass"), ("guitar", "other")):
                half = sources[source] // 2
                parts = {"a": half, "b": sources[source] - half}
                for part, samples in parts.items():
                    write(folder / stem / f"{part}.wav", samples, rate)
                listed.append({"stemName": stem, "tracks": [{"id": part, "extension": "wav"} for part in parts]})
            content = {"song": name, "artist": "Band", "stems": listed}
            (folder / "data.json").write_text(json.dumps(content))


def write_stems(root: Path, songs: Mapping[str, Songs], rate: int = RATE) -> None:
    """stempeg's example in place of the songs, as only an encoder could write these."""
    import stempeg

    for split, tracks in songs.items():
        for name in tracks:
            (root / split).mkdir(parents=True, exist_ok=True)
            shutil.copy(stempeg.example_stem_path(), root / split / f"{name}.stem.mp4")


WRITERS: dict[str, Callable[..., None]] = {
    "musdb": write_musdb,
    "stems": write_stems,
    "moisesdb": write_moisesdb,
    "csv": write_csv,
    "sources": write_sources,
    "tracks": write_tracks,
    "aligned": write_aligned,
}
# What a command needs beside `data=own data.root=...`.
SETTINGS: dict[str, list[str]] = {
    "tracks": [
        'data.rename.vocals=["*vox*"]',
        "data.rename.drums=[Kit]",
        "data.rename.bass=[Bs]",
        "data.other=rest",
    ],
    "aligned": ["data.sources=[speech,noise]"],
    "moisesdb": ["data.other=rest", "data.validation_share=0.5"],
}


def songs(split_names: Mapping[str, Sequence[str]], **options: object) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Stems by split and name."""
    return {
        split: {name: stems(10 * number + index, **options) for index, name in enumerate(names)}
        for number, (split, names) in enumerate(split_names.items())
    }
