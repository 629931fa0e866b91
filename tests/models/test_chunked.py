import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unmix.models import chunked


class Copies(nn.Module):
    """Model of two targets, the mixture and its negative; records the shapes of its inputs."""

    targets, sample_rate, num_channels = ("vocals", "drums"), 100, 2

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, mixture):
        self.shapes.append(tuple(mixture.shape))
        return torch.stack([mixture, -mixture], dim=1)


class Numbered(Copies):
    """Model whose estimate is the number of the chunk."""

    def forward(self, mixture):
        first = sum(shape[0] for shape in self.shapes)
        super().forward(mixture)
        numbers = torch.arange(first, first + len(mixture), dtype=torch.float32)
        return numbers[:, None, None, None].expand(-1, 2, *mixture.shape[1:]).clone()


def separated(model, mixture, **arguments):
    blocks = chunked.separate(model, lambda start, stop: mixture[:, start:stop], mixture.shape[-1], **arguments)
    return torch.cat(list(blocks), dim=-1)


@settings(max_examples=200, deadline=None)
@given(
    num_samples=st.integers(1, 300),
    chunk_samples=st.integers(2, 120),
    overlap=st.floats(0, 0.5),
    batch_size=st.integers(1, 5),
)
def test_a_model_that_copies_returns_the_mixture(num_samples, chunk_samples, overlap, batch_size):
    mixture = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(num_samples))
    before, model = mixture.clone(), Copies()
    options = {"chunk_samples": chunk_samples, "overlap": overlap, "batch_size": batch_size}
    estimates = separated(model, mixture, **options)
    assert estimates.shape == (2, 2, num_samples)
    assert (estimates - torch.stack([mixture, -mixture])).abs().max() < 1e-5
    assert torch.equal(mixture, before)
    assert all(channels == 2 and samples == chunk_samples for _, channels, samples in model.shapes)
    assert all(batch == batch_size for batch, _, _ in model.shapes[:-1])


@settings(max_examples=50, deadline=None)
@given(num_samples=st.integers(1, 300), chunk_samples=st.integers(2, 120), overlap=st.floats(0, 0.5))
def test_the_batch_size_does_not_change_the_estimates(num_samples, chunk_samples, overlap):
    mixture = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(0))
    options = {"chunk_samples": chunk_samples, "overlap": overlap}
    first = separated(Numbered(), mixture, **options)
    assert torch.equal(separated(Numbered(), mixture, **options, batch_size=3), first)


def test_neighbours_fade_into_each_other_linearly():
    estimates = separated(Numbered(), torch.zeros(2, 16), chunk_samples=10, overlap=0.4)
    expected = torch.tensor([0.0] * 6 + [1 / 8, 3 / 8, 5 / 8, 7 / 8] + [1.0] * 6)
    assert torch.allclose(estimates, expected.expand(2, 2, -1))


def test_without_overlap_chunks_are_concatenated():
    estimates = separated(Numbered(), torch.zeros(2, 25), chunk_samples=10, overlap=0)
    assert estimates[0, 0].tolist() == [0.0] * 10 + [1.0] * 10 + [2.0] * 5


def test_a_track_that_ends_with_a_chunk_needs_no_further_chunk():
    model = Copies()
    separated(model, torch.zeros(2, 16), chunk_samples=10, overlap=0.4)
    assert model.shapes == [(1, 2, 10)] * 2


@pytest.mark.parametrize("batch_size", [1, 3])
def test_at_most_one_batch_of_chunks_is_read_ahead_of_the_output(batch_size):
    """This bounds memory, whatever the length of the track."""
    reads, given_out = [], 0

    def read(start, stop):
        reads.append((start, stop))
        return torch.zeros(2, stop - start)

    options = {"chunk_samples": 100, "overlap": 0.25, "batch_size": batch_size}
    for block in chunked.separate(Copies(), read, 10_000_000, **options):
        assert block.shape[-1] <= 100
        assert block.untyped_storage().nbytes() <= batch_size * 2 * 2 * 100 * 4
        assert max(stop for _, stop in reads) - given_out <= batch_size * 100
        given_out += block.shape[-1]
        if given_out > 10_000:
            break
    assert all(stop - start <= 100 for start, stop in reads)


def test_half_precision_estimates_keep_their_dtype():
    class Half(Copies):
        def forward(self, mixture):
            return super().forward(mixture).half()

    assert separated(Half(), torch.ones(2, 50), chunk_samples=20).dtype == torch.float16


@pytest.mark.parametrize(
    ("num_samples", "arguments", "message"),
    [
        (0, {}, "input: got a track without a sample"),
        (9, {"overlap": 0.51}, "separator.overlap: got 0.51, allowed 0 up to 0.5"),
        (9, {"overlap": -0.1}, "separator.overlap: got -0.1, allowed 0 up to 0.5"),
        (9, {"chunk_samples": 1}, "separator: got chunks of 1 samples, 1 at once; both are too small"),
        (9, {"batch_size": 0}, "separator: got chunks of 4 samples, 0 at once; both are too small"),
    ],
)
def test_settings_outside_their_range_are_refused(num_samples, arguments, message):
    with pytest.raises(ValueError) as error:
        separated(Copies(), torch.zeros(2, num_samples), **{"chunk_samples": 4, **arguments})
    assert str(error.value) == message


def test_estimates_of_another_shape_or_not_finite_are_refused():
    class Short(Copies):
        def forward(self, mixture):
            return super().forward(mixture)[..., 1:]

    with pytest.raises(ValueError, match=r"Short returned \(1, 2, 2, 3\) for a mixture of \(1, 2, 4\)"):
        separated(Short(), torch.zeros(2, 9), chunk_samples=4)
    with pytest.raises(ValueError, match="ckpt: Copies returned NaN or infinity"):
        separated(Copies(), torch.full((2, 9), torch.nan), chunk_samples=4)
