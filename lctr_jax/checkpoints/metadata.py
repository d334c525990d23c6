"""Metadata of a checkpoint."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import lctr_jax
from lctr_jax.models.methods import require_trusted
from lctr_jax.models.spec import ModelSpec

Kind = Literal["network", "backbone"]

HEAD_FIELDS = ("method", "num_classes", "experts", "tokens_before_norm")
# Fields that do not affect the shape of any array.
_FREE_FIELDS = (
    *("alpha", "loc_dropout", "cls_dropout", "drop_path"),
    *("dtype", "precision", "initialization", "attention", "rematerialize", "layer_loop"),
)
SHAPING_FIELDS = tuple(f.name for f in dataclasses.fields(ModelSpec) if f.name not in _FREE_FIELDS)
BACKBONE_FIELDS = tuple(name for name in SHAPING_FIELDS if name not in HEAD_FIELDS)


def _versions() -> dict[str, str]:
    packages = ("jax", "flax", "orbax-checkpoint")
    return {"lctr_jax": lctr_jax.__version__} | {name: importlib.metadata.version(name) for name in packages}


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a checkpoint's parameters belong to.

    Attributes:
        kind: "network", or "backbone" without a head (e.g. from a DeiT file); the `HEAD_FIELDS` of `spec`
            are then meaningless.
        spec: hyperparameters of the network.
        class_names: one per class, or None if unknown.
        source: description of where the weights come from.
        versions: versions of the packages that wrote the checkpoint.
    """

    kind: Kind
    spec: ModelSpec
    class_names: tuple[str, ...] | None = None
    source: str = ""
    versions: Mapping[str, str] = field(default_factory=_versions)

    def __post_init__(self) -> None:
        """Check the kind and the number of class names.

        Raises:
            ValueError: `kind` is unknown, or the number of names differs from the number of classes.
        """
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind: got {self.kind!r}, expected one of {', '.join(get_args(Kind))}")
        if self.class_names is not None and len(self.class_names) != self.spec.num_classes:
            raise ValueError(
                f"class names: got {len(self.class_names)}, expected {self.spec.num_classes}, one per class"
            )

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON-compatible types."""
        model = dataclasses.asdict(self.spec)
        if self.kind == "backbone":
            model = {name: value for name, value in model.items() if name not in HEAD_FIELDS}
        return {
            "kind": self.kind,
            "model": model,
            "class_names": None if self.class_names is None else list(self.class_names),
            "source": self.source,
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, stored: Any) -> "Metadata":
        """Read what `to_json` has written.

        Raises:
            ValueError: `stored` has another form, was written by a newer version, or names a method whose
                code is not trusted (`methods.require_trusted`).
        """
        try:
            if "method" in stored["model"]:
                require_trusted(stored["model"]["method"])
            names: Sequence[str] | None = stored["class_names"]
            return cls(
                kind=stored["kind"],
                spec=ModelSpec(**({"num_classes": 1} | stored["model"])),
                class_names=None if names is None else tuple(names),
                source=stored["source"],
                versions=stored["versions"],
            )
        except (KeyError, TypeError) as error:
            versions = stored.get("versions") if isinstance(stored, Mapping) else None
            wrote = versions.get("lctr_jax") if isinstance(versions, Mapping) else "an unknown version"
            raise ValueError(
                f"metadata written by lctr_jax {wrote} cannot be read by {lctr_jax.__version__}: {error}"
            ) from error


def differing_fields(got: ModelSpec, expected: ModelSpec, names: Sequence[str]) -> list[str]:
    """Describe each named field in which two specs differ, as `field got .., expected ..`.

    Methods with the same head count as equal, because their parameters are the same.
    """

    def differ(name: str) -> bool:
        name = "head" if name == "method" else name
        return getattr(got, name) != getattr(expected, name)

    return [
        f"{name} got {getattr(got, name)}, expected {getattr(expected, name)}"
        for name in names
        if differ(name)
    ]
