"""Take a training's checkpoint that has no checksums as it is: record them now, so that it counts as sound.

    python -m lctr_jax.seal RUN/checkpoints/STEP

Its weights are read first. That tells a file that is missing or cut short, not a changed byte of an array:
whether the files are as they were written is for the user to know.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lctr_jax.checkpoints.checksums import CHECKSUMS, write_checksums
from lctr_jax.checkpoints.store import find_checkpoint, load_weights
from lctr_jax.errors import one_line_errors


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lctr_jax.seal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, metavar="RUN/checkpoints/STEP")
    checkpoint = parser.parse_args(arguments).checkpoint
    seal(checkpoint)
    print(f"{checkpoint / CHECKSUMS} written")


def seal(checkpoint: Path) -> None:
    """Record the checksums of a checkpoint's files as they are.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is no checkpoint, its weights cannot be read, or it has checksums already.
    """
    if Path(find_checkpoint(checkpoint)) != checkpoint.expanduser().resolve():
        raise ValueError(f"{checkpoint}: got a run's folder, expected RUN/checkpoints/STEP")
    if (checkpoint / CHECKSUMS).exists():
        raise ValueError(f"{checkpoint}: has checksums, and its files are as they say; nothing to do")
    load_weights(checkpoint)
    write_checksums(checkpoint)


if __name__ == "__main__":
    main()
