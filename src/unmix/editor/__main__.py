"""python -m unmix.editor: writes docs/schemas/, and into each file of conf/ the line that names its schema."""

import json

from unmix.editor.conf_files import SCHEMAS, files, with_line
from unmix.editor.schemas import build
from unmix.editor.values import Schema


def text_of(schema: Schema) -> str:
    """Format a schema as the text of its file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all schemas and lines, and remove schemas that nothing has any more."""
    schemas = build()
    SCHEMAS.mkdir(exist_ok=True)
    for path in SCHEMAS.glob("*.json"):
        if path.stem not in schemas:
            path.unlink()
    for name, schema in schemas.items():
        (SCHEMAS / f"{name}.json").write_text(text_of(schema), encoding="utf-8")
    for path in files():
        path.write_text(with_line(path), encoding="utf-8")
    print(f"{SCHEMAS}: {len(schemas)} schemas; next: look at them with git diff")  # noqa: T201


if __name__ == "__main__":
    main()
