"""Code blocks and commands of README and of the pages in docs/."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *(path for path in sorted(DOCS.glob("**/*.md")) if "_build" not in path.parts)]
BLOCK = re.compile(r"^(?:[ ]*<!-- ([^\n]*) -->\n)?([ ]*)```([^\n`]*)\n(.*?)^\2```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:[A-Z]\w*=\S* )*python src/\w+\.py [^`]+)`")
COMMAND = re.compile(r"^(?:\$ )?((?:[A-Z]\w*=\S* )*(?:python|torchrun .*?) ?src/\w+\.py\b.*)$", re.MULTILINE)
SETTING = re.compile(r"[+~]*([a-z_]+(?:[./][a-z_0-9]+)*)=(.*)")
STAND_INS = {"<experiment>": "umx-0a1b2c3d", "=...": "=x"}  # for what a reader fills in
REFUSED = "refused"


@dataclass(frozen=True)
class Block:
    """A fenced block: the comment above it, the language behind its fence, its lines."""

    mark: str
    language: str
    text: str

    @property
    def kind(self) -> str:
        """Its mark without details: `commands` for `commands, exit code 2`, `file` for `file my_conf/a.yaml`."""
        return re.sub(r"^(commands), .*|^(file) .*", r"\1\2", self.mark)

    @property
    def is_refused(self) -> bool:
        """Whether its commands are wrong on purpose."""
        return self.mark == REFUSED or "exit code" in self.mark


@dataclass(frozen=True)
class Documented:
    """A command as a page shows it."""

    environment: dict[str, str]
    name: str
    arguments: tuple[str, ...]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, without directives such as a table of contents."""
    for mark, _, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if not language.startswith("{") or language.startswith("{code"):
            yield Block(mark, language, text)


def commands(text: str) -> Iterator[Documented]:
    """Yield the commands of a text, without what they print."""
    for line in COMMAND.findall(text.replace("\\\n", " ")):
        words = shlex.split(line, comments=True)
        script = next(number for number, word in enumerate(words) if word.startswith("src/"))
        settings = (word.partition("=") for word in words[:script] if re.match(r"[A-Z]\w*=", word))
        environment = {name: value for name, _, value in settings}
        yield Documented(environment, Path(words[script]).stem, tuple(words[script + 1 :]))


def shown(page: Path) -> list[Documented]:
    """List the commands of a page's blocks and sentences that are not refused, ready to compose."""
    sentences = BLOCK.sub("", page.read_text(encoding="utf-8"))
    texts = [block.text for block in blocks(page) if not block.is_refused]
    texts += [" ".join(inline.split()) for inline in INLINE.findall(sentences)]
    text = "\n".join(texts)
    for placeholder, word in STAND_INS.items():
        text = text.replace(placeholder, word)
    return [command for command in commands(text) if "..." not in command.arguments]


def settings(page: Path) -> Iterator[tuple[str, str]]:
    """Yield key and value of the settings that the sentences and tables of a page name, as `key=value`."""
    for code in re.findall(r"`([^`\n]+)`", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        try:
            matches = [SETTING.fullmatch(word) for word in shlex.split(code)]
        except ValueError:  # an apostrophe: no command line
            continue
        if all(matches):
            yield from (match.groups() for match in matches)
