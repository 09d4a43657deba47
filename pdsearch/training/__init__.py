"""Training and evaluation of a network: reproducible, and resumable after an interruption."""
