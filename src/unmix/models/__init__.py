"""Models, and the separators that join them. `contract` says what a model is."""
