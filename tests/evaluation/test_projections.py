"""Correlations equal their definition, and filters are those that made the estimates."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import MonkeyPatch
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
    factorise, tries = projections._factor, []

    def count(correlations, added):
        factor, failed = factorise(correlations, added)
        tries.append(failed.tolist())
        return factor, failed

    monkeypatch.setattr(projections, "_factor", count)
    ((together, own),) = projections.solve(sums, NUM_SOURCES, NUM_CHANNELS)
    # of the two sources the second fails, and is tried again alone, then both together
    assert tries == [[False, True], [False], [False]]
    assert together.isfinite().all()
    assert own.isfinite().all()


def gram(sums, added):
    """Gram matrix of delayed rows from its definition: element ((l, i), (m, j)) is the correlation at lag l - m."""
    taps, rows, _ = sums.shape
    matrix = torch.empty(taps, rows, taps, rows, dtype=sums.dtype)
    for late in range(taps):
        for early in range(taps):
            lag = late - early
            matrix[late, :, early] = sums[lag] if lag >= 0 else sums[-lag].T
    return matrix.reshape(taps * rows, taps * rows) + added * torch.eye(taps * rows, dtype=sums.dtype)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 9), st.integers(1, 3), st.sampled_from([1, 3, 256]))
def test_filters_solve_the_normal_equations(seed, rows, taps, columns, substituted):
    draw = torch.Generator().manual_seed(seed)
    samples, estimates = (torch.randn(count, 64, generator=draw, dtype=torch.float64) for count in (rows, columns))
    later = torch.nn.functional.pad(torch.cat([samples, estimates]), (0, taps))
    sums = torch.stack([samples @ later[:, lag : lag + 64].T for lag in range(taps)])
    matrix = gram(sums[:, :, :rows], torch.finfo(torch.float64).eps)
    factor, failed = projections._factor(sums[None, :, :, :rows], torch.full((1,), 0.0, dtype=torch.float64))
    assert not failed.any()
    torch.testing.assert_close(factor[0].triu().T @ factor[0].triu(), matrix)
    with MonkeyPatch.context() as patch:
        patch.setattr(projections, "SUBSTITUTED", substituted)
        filters, ridges = projections._solve(sums[None, :, :, :rows], sums[None, :, :, rows:])
    assert ridges.tolist() == [0]
    torch.testing.assert_close(
        filters[0].reshape(-1, columns), torch.linalg.solve(matrix, sums[:, :, rows:].reshape(-1, columns))
    )


def test_silence_has_no_filters():
    filters, _ = projections._solve(*torch.zeros(2, 1, TAPS, 2, 2, dtype=torch.float64))
    assert (filters == 0).all()


def test_the_number_of_threads_is_what_it_was(references):
    before = torch.get_num_threads()
    list(projections.solve(torch.zeros(TAPS, 4, 8, dtype=torch.float64), NUM_SOURCES, NUM_CHANNELS))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("position", "name"), [(0, "references"), (1, "estimates")])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_samples_that_are_no_numbers_are_refused(references, position, name, value):
    stems = [references, references.clone()]
    stems[position][1, 0, 2000] = value
    with pytest.raises(ValueError, match=f"{name}: got NaN or infinite samples"):
        projections.correlations([reader(each) for each in stems], 3000, TAPS)
