"""`python -m plotindex` is `plotindex`."""

from plotindex.cli.main import main

# Shell completion is registered for this name.
main(prog_name="plotindex")
