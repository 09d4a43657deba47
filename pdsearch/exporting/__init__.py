"""Export of a study: configurations that run again, and students that load without it."""
