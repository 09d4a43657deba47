"""Confirmation: finalists, their jobs with fresh seeds, and the unpruned teacher's share of trials."""
