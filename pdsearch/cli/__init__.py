"""The command line: one file per verb, each thin; importing this package loads nothing heavy."""
