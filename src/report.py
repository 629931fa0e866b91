"""Write the table and the figures of a paper from stored evaluations, with what is shown of their differences.

python src/report.py 'ckpt=[outputs/runs/<experiment>,umxhq,oracle:irm1]' format=latex
python src/report.py 'ckpt="outputs/runs/*"' format=markdown test_set=musdb18hq-test compare=[umx,umxl]
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("report"))
