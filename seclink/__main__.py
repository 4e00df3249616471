"""`python -m seclink` is the `seclink` command."""

from seclink.cli import main

main()
