"""Write trained weights in a form that others read.

python src/export.py ckpt=outputs/runs/<experiment>            for openunmix
python src/export.py ckpt=outputs/runs/<experiment> format=safetensors
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("export"))
