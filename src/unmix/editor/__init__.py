"""JSON Schemas of the files in conf/, for completion, explanations and checks in editors; kept in docs/schemas/."""
