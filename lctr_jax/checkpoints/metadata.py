"""What a checkpoint says of itself, beside its parameters."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import lctr_jax
from lctr_jax.models.methods import require_trusted
from lctr_jax.models.spec import ModelSpec

Kind = Literal["network", "backbone"]

HEAD_FIELDS = ("method", "num_classes", "experts")
# Of no array.
_FREE_FIELDS = ("drop_path", "dtype", "precision", "initialization", "attention", "rematerialize")
SHAPING_FIELDS = tuple(f.name for f in dataclasses.fields(ModelSpec) if f.name not in _FREE_FIELDS)
BACKBONE_FIELDS = tuple(name for name in SHAPING_FIELDS if name not in HEAD_FIELDS)


def _versions() -> dict[str, str]:
    packages = ("jax", "flax", "orbax-checkpoint")
    return {"lctr_jax": lctr_jax.__version__} | {name: importlib.metadata.version(name) for name in packages}


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What the parameters belong to.

    `kind`: "network", whole, or "backbone", what a DeiT file gives; `spec`'s method, num_classes and experts
    then mean nothing. `class_names`: one a class, or None where unknown.
    `source`: where the weights come from, in words. `versions`: of the packages that wrote them.
    """

    kind: Kind
    spec: ModelSpec
    class_names: tuple[str, ...] | None = None
    source: str = ""
    versions: Mapping[str, str] = field(default_factory=_versions)

    def __post_init__(self) -> None:
        """Refuse an unknown kind, and names that do not fit the classes.

        Raises:
            ValueError: `kind` is unknown, or the number of names is not the number of classes.
        """
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind: got {self.kind!r}, expected one of {', '.join(get_args(Kind))}")
        if self.class_names is not None and len(self.class_names) != self.spec.num_classes:
            raise ValueError(
                f"class names: got {len(self.class_names)}, expected {self.spec.num_classes}, one a class"
            )

    def to_json(self) -> dict[str, Any]:
        """The metadata as what JSON holds."""
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
        """The inverse of `to_json`.

        Raises:
            ValueError: `stored` is not what `to_json` writes, a newer version wrote it, or it names a method
                whose code is not trusted (`methods.require_trusted`).
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
    """`field got .., expected ..` for each of the named fields in which two specs differ.

    Methods of one head do not differ: their parameters are the same.
    """

    def differ(name: str) -> bool:
        name = "head" if name == "method" else name
        return getattr(got, name) != getattr(expected, name)

    return [
        f"{name} got {getattr(got, name)}, expected {getattr(expected, name)}"
        for name in names
        if differ(name)
    ]
