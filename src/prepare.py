"""Turn stems in any layout into a tree like MUSDB18-HQ's, once.

python src/prepare.py input=songs out=mine 'data.rename.vocals=["*vox*"]'
python src/prepare.py input=files.csv out=mine data.validation_share=0.1
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("prepare"))
