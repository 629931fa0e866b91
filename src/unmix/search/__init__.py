"""Hyperparameter search: spaces, objectives, pruning, and the study file, on Optuna's storage and samplers."""
