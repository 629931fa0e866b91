"""Models and the separators that join them; `contract` defines what a model is."""
