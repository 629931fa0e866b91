"""Score a separator over whole tracks: the four-target Wiener filter and museval."""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("evaluate"))
