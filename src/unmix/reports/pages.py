"""HTML pages from the folder `templates`; each is a single file, and follows the reader's light or dark theme."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
TYPES = {"png": "image/png", "mp3": "audio/mpeg", "flac": "audio/flac"}


def render(template: str, **content: Any) -> str:
    """Fill a template with `content`; its strings are escaped, except for `Markup`.

    Raises:
        jinja2.UndefinedError: when the template needs something that `content` lacks.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(data_url=data_url, asset=asset)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.get_template(template).render(content)


def asset(name: str) -> Markup:
    """Read a file of the folder `templates` that is embedded as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def data_url(content: bytes, kind: str) -> Markup:
    """Encode a file as a data URL, to embed it in a page.

    Args:
        content: content of the file.
        kind: `png`, `mp3` or `flac`.
    """
    return Markup(f"data:{TYPES[kind]};base64,{b64encode(content).decode()}")
