"""Applications and analyses to read and to run."""
