"""Work that depends on content alone, done once for the jobs of a command that have it in common."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Distinct:
    """Results of checks by the content that was checked; an error is raised for every job that has the content."""

    def __init__(self) -> None:
        self._results: dict[str, Any] = {}

    def once(self, check: Callable[[], Result], kind: str, content: Any) -> Result:
        """Return what a check returns, from an earlier call if there was one of this kind with the same content.

        Args:
            check: the check, which depends on nothing else that differs between jobs.
            kind: name of the check.
            content: plain containers.
        """
        key = f"{kind} {json.dumps(content, default=repr)}"
        if key not in self._results:
            self._results[key] = check()
        result: Result = self._results[key]
        return result
