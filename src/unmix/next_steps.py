"""The last line of a command, after what it wrote: what one would type next, in one wording."""

import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

# `ckpt='outputs/runs/demo'`, as the command line reads after `quoting.quote_literal`, needs no quotes.
_PLAIN = re.compile(r"([^=]+=)'([\w./:@%+~-]+)'")


def script(name: str, *arguments: str) -> str:
    """Format the hint to run one of our commands, quoted for a shell: `next: python src/check.py data=own ...`."""
    return command("python", f"src/{name}.py", *arguments)


def command(*words: str) -> str:
    """Format the hint to run any command."""
    return f"next: {shlex.join(words)}"


def again(*arguments: str) -> str:
    """Format the hint to run this command again with further arguments."""
    return script(Path(sys.argv[0]).stem, *map(_unquoted, sys.argv[1:]), *arguments)


def from_command_line(*keys: str) -> list[str]:
    """List the arguments of this command line that the next command takes too: keys, what is below them, plugins.

    `--config-dir` is always among them.
    """
    words, listed = sys.argv[1:], []
    for number, word in enumerate(words):
        if word == "--config-dir":
            listed += words[number : number + 2]
        elif word.startswith("--config-dir=") or _has_key(word, (*keys, "plugins")):
            listed.append(_unquoted(word))
    return listed


def _unquoted(word: str) -> str:
    return _PLAIN.sub(r"\1\2", word)


def _has_key(word: str, keys: Iterable[str]) -> bool:
    key, equals, _ = word.lstrip("+").partition("=")
    return bool(equals) and any(key == each or key.startswith(f"{each}.") for each in keys)
