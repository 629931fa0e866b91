"""Write networks in the form that others read."""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("export"))
