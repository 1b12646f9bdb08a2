"""`python -m plotindex` is `plotindex`."""

from plotindex.cli import main

main()
