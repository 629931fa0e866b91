"""MUSDB18's 7-second previews, downloaded by musdb itself."""

from pathlib import Path

from unmix.data.cache import build_once


def download(root: Path) -> None:
    """Have musdb fetch its sample data set (about 150 MB, `.stem.mp4` files) and put it at `root`.

    Raises:
        OSError: when it cannot be fetched or stored; nothing is left then.
    """
    build_once(Path(root), _fetch)


def _fetch(folder: Path) -> None:
    import musdb  # its imports look for FFmpeg, which nothing else here needs

    try:
        musdb.DB(root=str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise OSError(f"data.root: musdb cannot fetch its sample data set ({error}); fetch it by hand") from error
