"""LCTR: weakly supervised object localization with a vision transformer, in JAX.

    model = lctr_jax.load(PATH)  # any checkpoint
    predictions = model.localize(PHOTOS)  # a `Prediction` with boxes per image; arrays, files, folders
    output = model(lctr_jax.normalize(images))  # logits and maps of uint8 images [batch, height, width, 3]

`Localizer` localizes batch by batch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lctr_jax.inference.loading import LoadedModel as LoadedModel
    from lctr_jax.inference.loading import load as load
    from lctr_jax.inference.localizer import Localizer as Localizer
    from lctr_jax.inference.result import Prediction as Prediction
    from lctr_jax.models.normalization import normalize as normalize

__version__ = "0.1.0"
__all__ = ["LoadedModel", "Localizer", "Prediction", "__version__", "load", "normalize"]

_MODULES = {
    "LoadedModel": "lctr_jax.inference.loading",
    "Localizer": "lctr_jax.inference.localizer",
    "Prediction": "lctr_jax.inference.result",
    "load": "lctr_jax.inference.loading",
    "normalize": "lctr_jax.models.normalization",
}


def __getattr__(name: str):
    """Import a public name at its first use, so that `import lctr_jax` does not import JAX."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
