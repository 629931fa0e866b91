"""Correlations equal their definition, and filters are those that made the estimates."""

import pytest
import torch
from torch.nn.functional import conv1d

from unmix.evaluation import projections

NUM_SOURCES, NUM_CHANNELS, TAPS = 2, 2, 5


def reader(stems):
    return lambda start, stop: stems[..., start:stop]


@pytest.fixture
def references():
    return torch.randn(NUM_SOURCES, NUM_CHANNELS, 3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("num_samples", [1, 4, 3000])
@pytest.mark.parametrize("num_blocks", [1, 8])
def test_correlations_are_the_sums_of_products_at_each_lag(references, num_samples, num_blocks, monkeypatch):
    monkeypatch.setattr(projections, "FFT_SIZE", 64)
    monkeypatch.setattr(projections, "NUM_BLOCKS", num_blocks)
    stems = references[..., :num_samples]
    readers = [reader(stems), reader(stems.flip(0) + 1)]
    rows = torch.cat([stems.flatten(0, 1), (stems.flip(0) + 1).flatten(0, 1)])
    later = torch.nn.functional.pad(rows, (0, TAPS))
    expected = torch.stack([rows[:4] @ later[:, lag : lag + num_samples].T for lag in range(TAPS)])
    torch.testing.assert_close(projections.correlations(readers, num_samples, TAPS), expected)


def test_filters_are_those_that_made_the_estimates(references):
    rows = references.flatten(0, 1)
    true = torch.randn(4, 4, TAPS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    padded = torch.nn.functional.pad(rows, (TAPS - 1, 0))
    estimates = conv1d(padded[None], true.flip(-1))[0].unflatten(0, (NUM_SOURCES, -1))
    silence = torch.nn.functional.pad(references, (0, TAPS)), torch.nn.functional.pad(estimates, (0, TAPS))
    sums = projections.correlations([reader(stems) for stems in silence], 3000 + TAPS, TAPS)
    ((together, own),) = projections.solve(sums, NUM_SOURCES, NUM_CHANNELS)
    # the last samples lack the tail of the filters, so the fit is not exact
    torch.testing.assert_close(together, true.permute(1, 2, 0), atol=0.02, rtol=0)
    assert own.shape == (NUM_SOURCES, NUM_CHANNELS, TAPS, NUM_CHANNELS)


def test_sources_together_start_with_the_ridge_that_one_of_them_needs(references, monkeypatch):
    references[1, 1] = references[1, 0]
    sums = projections.correlations([reader(references), reader(references.roll(1, -1))], 3000, TAPS)
    factorise, sizes = torch.linalg.cholesky_ex, []

    def count(gram):
        factor, failed = factorise(gram)
        sizes.append((len(gram), bool(failed)))
        return factor, failed

    monkeypatch.setattr(torch.linalg, "cholesky_ex", count)
    ((together, _),) = projections.solve(sums, NUM_SOURCES, NUM_CHANNELS)
    assert (NUM_CHANNELS * TAPS, True) in sizes
    assert [failed for size, failed in sizes if size == NUM_SOURCES * NUM_CHANNELS * TAPS] == [False]
    assert together.isfinite().all()


@pytest.mark.parametrize(("position", "name"), [(0, "references"), (1, "estimates")])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_samples_that_are_no_numbers_are_refused(references, position, name, value):
    stems = [references, references.clone()]
    stems[position][1, 0, 2000] = value
    with pytest.raises(ValueError, match=f"{name}: got NaN or infinite samples"):
        projections.correlations([reader(each) for each in stems], 3000, TAPS)
