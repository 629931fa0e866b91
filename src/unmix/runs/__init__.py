"""The commands, one module each, with the modules that they share.

A command has `prepare(cfg)`, which checks the configuration before anything is written and returns a job with what it
found (plans, checkpoints, data); `job.run()` does the work.
"""
