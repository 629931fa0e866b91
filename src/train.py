"""Train a model. The same command again continues it, -m sweeps its settings.

python src/train.py experiment=demo target=drums              needs no data
python src/train.py experiment=umxhq data.root=/path/to/musdb18hq target=bass
python src/train.py experiment=umxhq data.root=... sweep=targets
python src/train.py -m target=vocals,drums model.hidden_size=256,512 slots=2
python src/train.py ... dry_run=true                shows what it would cost
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("train"))
