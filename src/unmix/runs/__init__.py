"""The commands: a checked configuration in, objects built and called.

Each has `check`, which refuses before anything is written, and `run`.
"""
