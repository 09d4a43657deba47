"""Leases: who builds an artifact or drives a study."""
