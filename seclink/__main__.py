"""`python -m seclink` is the `seclink` command."""

from seclink.cli.main import main

main()
