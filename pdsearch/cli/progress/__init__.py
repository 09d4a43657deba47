"""Progress of a running study: counts, the live screen, plain lines."""
