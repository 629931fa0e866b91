"""A user's own package: a model, an objective and a callback that this project does not know."""
