"""Write a paper's table and figures from stored evaluations.

python src/report.py 'ckpt=[outputs/runs/umx-1a2b3c4d,umxhq,oracle:irm1]'
python src/report.py 'ckpt="outputs/runs/*"' format=markdown compare=umxl
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("report"))
