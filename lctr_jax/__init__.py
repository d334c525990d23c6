"""LCTR: weakly supervised object localization with a vision transformer, in JAX.

`model = lctr_jax.load(PATH)` opens any checkpoint; `model(images)` gives logits and maps.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lctr_jax.inference.loading import LoadedModel as LoadedModel
    from lctr_jax.inference.loading import load as load

__version__ = "0.1.0"
__all__ = ["LoadedModel", "__version__", "load"]


def __getattr__(name: str):
    """Import JAX and the network only when they are asked for: `import lctr_jax` stays instant."""
    if name in ("LoadedModel", "load"):
        from lctr_jax.inference import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
