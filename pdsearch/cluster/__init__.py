"""A study's jobs on Ray: connection, Tune searcher and scheduler, slots, workers, node checks."""
