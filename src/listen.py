"""Make a page to hear separators side by side, switched in an instant.

python src/listen.py ckpt=outputs/runs/<experiment>
python src/listen.py 'ckpt=[outputs/runs/<experiment>,umxhq,oracle:irm1]'
python src/listen.py ckpt=umxhq data=musdb18hq data.root=... tracks='A Song'
python src/listen.py ckpt=outputs/runs/<experiment> tracks=1 serve=true
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("listen"))
