"""`python -m plotindex` is `plotindex`."""

from plotindex.cli.main import main

# However it was started: completion asks for it by this name.
main(prog_name="plotindex")
