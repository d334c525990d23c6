"""Convert DeiT or LCTR weights from PyTorch to a checkpoint of lctr_jax, or back.

python convert_deit_weights.py SOURCE DEST [--num_classes K]    .pth, .pt or .safetensors to a checkpoint
python convert_deit_weights.py --to-torch CHECKPOINT DEST       a checkpoint to .pth or .safetensors
"""

from lctr_jax.convert import main

if __name__ == "__main__":
    main()
