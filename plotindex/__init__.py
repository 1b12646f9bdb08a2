"""plotindex: an indexed catalogue of plots."""

__version__ = "0.1.0"
