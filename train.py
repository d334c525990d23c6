"""Train and evaluate LCTR, or evaluate a checkpoint.

python train.py --config configs/NAME.py [--workdir DIR] [--config.a.b=value ...]
python train.py --config configs/NAME.py --eval --checkpoint PATH --workdir DIR
"""

from lctr_jax.train import main

if __name__ == "__main__":
    main()
