"""The commands: a checked configuration in, objects built and called.

Each module has `prepare(cfg)`, which refuses what cannot be before anything is written, and returns a job that holds
what was found meanwhile; `job.run()` does the work.
"""
