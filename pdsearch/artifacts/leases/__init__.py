"""Leases, which decide which process builds an artifact or drives a study."""
