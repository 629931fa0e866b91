"""Open-Unmix: its network, the model around it, its separator with the Wiener filter, and its exact streaming."""

from unmix.models.open_unmix.model import UMX
from unmix.models.open_unmix.network import OpenUnmix, bandwidth_to_bins

__all__ = ["UMX", "OpenUnmix", "bandwidth_to_bins"]
