"""Ratios of sample rates; importing this module does not import torch."""

import math

# Limit on both terms of the reduced ratio of two rates: torchaudio's filters grow with their product.
_LARGEST_TERM = 5000


def ratio(rate: int, new_rate: int) -> tuple[int, int]:
    """Reduce the ratio of two sample rates to lowest terms: 48000 and 44100 Hz give 160 and 147.

    Raises:
        ValueError: when a term exceeds 5000, as for 44099 and 44100 Hz.
    """
    common = math.gcd(rate, new_rate)
    terms = rate // common, new_rate // common
    if max(terms) > _LARGEST_TERM:
        raise ValueError(
            f"input: {rate} Hz cannot be resampled to {new_rate} Hz: convert the file to a common rate first"
        )
    return terms
