"""Separate songs into stems that stand next to them.

python src/separate.py ckpt=outputs/runs/<experiment> input=song.wav
python src/separate.py ckpt=umxhq input=folder out=stems 'targets=[vocals]'
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("separate"))
