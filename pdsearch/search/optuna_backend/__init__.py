"""The Optuna study of a search: the only importer of optuna."""
