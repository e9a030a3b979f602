"""`python -m lrtool` is the same as `lrtool`."""

from lrtool.safe_path import leave_working_folder

leave_working_folder(__file__.rpartition("__main__")[0])

from lrtool.cli.app import main  # noqa: E402

main()
