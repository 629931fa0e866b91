"""Export of a listening test from the excerpts that listen.py separates: format=webmushra."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from unmix import next_steps
from unmix.evaluation import scores
from unmix.evaluation.energy_ratios import SiSar, SiSdr, TrackSdr
from unmix.evaluation.engines import BssEval
from unmix.evaluation.metrics import Metric
from unmix.evaluation.stems import reader
from unmix.evaluation.track_scoring import score_track
from unmix.reports.listening_page import Excerpt
from unmix.reports.webmushra import KEY, Export, Trial, test_id

log = logging.getLogger(__name__)
Scores = dict[str, dict[str, float]]  # target -> metric -> value


def export(path: Path, methods: Sequence[str], excerpts: Sequence[Excerpt], loudness: float) -> None:
    """Write a listening test with one trial per excerpt and source, and say what to do with it.

    A source that is silent in the excerpt has no trial.

    Args:
        path: folder to write.
        methods: names of the methods, in the order of the excerpts' estimates.
        excerpts: what is heard.
        loudness: of every clip, LUFS.
    Raises:
        ValueError: when the excerpts differ in sample rate, or too many methods are to be compared.
    """
    rates = {excerpt.sample_rate for excerpt in excerpts}
    if len(rates) > 1:
        names = ", ".join(map(str, sorted(rates)))
        raise ValueError(f"tracks: got sample rates of {names} Hz, all clips of a test need the same")
    test = Export(path, test_id(path.name), rates.pop(), loudness)
    for excerpt in excerpts:
        references, *estimates = excerpt.stems
        by_method = dict(zip(methods, estimates, strict=True))
        scored = {method: score(references, stems, excerpt.sample_rate) for method, stems in by_method.items()}
        for target, reference in references.items():
            heard = {name: stems[target].numpy() for name, stems in by_method.items() if target in stems}
            if not heard or not bool(reference.any()):
                why = "it is silent here" if heard else "no method estimates it"
                log.info("%s: no trial of %s: %s", excerpt.track, target, why)
                continue
            own = {name: scored[name].get(target, {}) for name in heard}
            start = excerpt.start / excerpt.sample_rate
            mixture = excerpt.mixture.numpy()
            test.add(Trial(excerpt.track, target, start, reference.numpy(), mixture, heard, own))
    test.finish({"methods": list(methods), "loudness": loudness})
    log.info("listening test: %s, %d trials", path, len(test.trials))
    log.info("  copy %s into webMUSHRA's folder, and open it with ?config=%s.yaml", path / "configs", test.name)
    log.info("%s", next_steps.script("ratings", "results=mushra.csv", f"key={path / KEY}"))


def score(references: Mapping[str, Tensor], estimates: Mapping[str, Tensor], sample_rate: int) -> Scores:
    """Score an excerpt by the metrics that ratings are compared with: BSS Eval, uSDR, SI-SDR and SI-SAR.

    Sources that are silent in the excerpt are left out: with them, BSS Eval has no score for any source. It has none
    for a single source either.

    Args:
        references, estimates: source -> (channels, samples).
        sample_rate: Hz.
    """
    names = [name for name in references if name in estimates and bool(references[name].any())]
    if not names:
        return {}
    true, estimated = (torch.stack([stems[name] for name in names]) for stems in (references, estimates))
    chosen: list[Metric] = [TrackSdr(), SiSdr(), SiSar()]
    chosen += [BssEval()] if len(names) > 1 else []
    estimates_of = [reader(estimated)]
    (store,) = score_track(
        "excerpt", names, reader(true), estimates_of, true.shape[-1], sample_rate=sample_rate, chosen=chosen
    )
    return {row.target: dict(row.metrics) for row in scores.of_track("", "", store)}
