"""Estimates of a search's cost, in trainings, epochs and bytes."""
