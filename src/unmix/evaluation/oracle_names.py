"""Names of the oracles, as entries of `ckpt`; importing this module does not import torch."""

from pathlib import Path

from unmix import errors

ORACLE = "oracle:"  # prefix of an entry of `ckpt` that names an oracle
ORACLES = ("irm1", "irm2", "ibm1", "ibm2", "mwf")


def is_oracle(entry: str) -> bool:
    """Whether an entry of `ckpt` names an oracle."""
    return entry.startswith(ORACLE) or (f"{entry}:" == ORACLE and not Path(entry).exists())


def oracle_of(entry: str) -> str:
    """Name of the oracle that an entry of `ckpt` names.

    Raises:
        ValueError: when there is no such oracle.
    """
    name = entry.removeprefix(ORACLE)
    if name in ORACLES:
        return name
    allowed = [f"{ORACLE}{oracle}" for oracle in ORACLES]
    # the bare word is equally near to all of them
    message = f"ckpt: got {entry!r}, allowed {', '.join(allowed)}"
    raise ValueError(errors.unknown("ckpt", entry, allowed) if entry.startswith(ORACLE) else message)


def method_of(oracle: str) -> str:
    """Name of an oracle among methods: `irm1` -> `oracle-irm1`."""
    return f"oracle-{oracle}"


def is_method_of_oracle(method: str) -> bool:
    """Whether a method is an oracle."""
    return method in map(method_of, ORACLES)
