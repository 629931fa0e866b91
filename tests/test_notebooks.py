"""Every notebook runs; what it showed is kept for `make docs`, which runs only notebooks that are not kept yet."""

from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CACHE = ROOT / "docs" / "_build" / ".jupyter_cache"  # `nb_execution_cache_path` of docs/conf.py


def keep(path, notebook):
    """Put the outputs of an executed notebook where `make docs` looks for them."""
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE.with_suffix(".lock")):
        get_cache(CACHE).cache_notebook_bundle(CacheBundleIn(notebook, str(path)), overwrite=True)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_from_top_to_bottom(path):
    notebook = nbformat.read(path, as_version=4)
    # times in the metadata of cells would make it another notebook for the cache
    NotebookClient(notebook, timeout=300, record_timing=False).execute(cwd=str(path.parent))
    keep(path, notebook)
    kept = get_cache(CACHE).match_cache_notebook(nbformat.read(path, as_version=4))
    assert kept.uri == str(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_output(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") for cell in cells)


def test_the_documentation_shows_every_notebook():
    index = (ROOT / "docs" / "index.md").read_text()
    assert [path.stem for path in NOTEBOOKS if f"notebooks/{path.stem}\n" not in index] == []
    assert (ROOT / "docs" / "notebooks").resolve() == ROOT / "notebooks"
