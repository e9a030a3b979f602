"""Commands that look at what there is: schedules, runs, schemas, this installation. They train nothing."""
