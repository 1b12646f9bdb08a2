"""The tests, by package; what they share is in support/, and programs to start by hand are in tools/."""

from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
