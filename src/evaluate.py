"""Separate and score test tracks. The same command again continues.

python src/evaluate.py ckpt=outputs/runs/<experiment>
python src/evaluate.py ckpt=umxhq data=musdb18hq data.root=... subset=valid
python src/evaluate.py 'ckpt=[outputs/runs/<experiment>,umxhq]'     compares
python src/evaluate.py ckpt=oracle:irm1 data=musdb18hq data.root=...
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("evaluate"))
