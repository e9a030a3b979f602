"""`python -m lrtool` is the same as `lrtool`."""

from lrtool.cli.app import main

main()
