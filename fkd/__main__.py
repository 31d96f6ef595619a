"""`python -m fkd` is the command `fkd`."""

from fkd.cli import main

main()
