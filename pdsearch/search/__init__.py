"""Searching: sampled trials and their records, the schedule of phases, confirmation, planning, preflight checks."""
