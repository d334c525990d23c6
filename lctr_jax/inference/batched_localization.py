"""Localize in many images: the devices compute a batch while the results of the previous one are used."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from lctr_jax.data.image_decoding import RgbPixels
from lctr_jax.data.notes import some
from lctr_jax.inference.images import report_unreadable
from lctr_jax.inference.loading import LoadedModel
from lctr_jax.inference.localizer import Localizer, folder_label
from lctr_jax.inference.prediction_inputs import Input
from lctr_jax.inference.result import NotFiniteError, Prediction

InputBatch = Sequence[tuple[Input, RgbPixels]]
Results = list[tuple[Input, Prediction]]


def localize_batches(
    localizer: Localizer,
    batches: Iterable[InputBatch],
    *,
    labels: Callable[[Input], int | None] | None = None,
    unreadable: dict[str, str],
) -> Iterator[Results]:
    """Localize batch by batch.

    Images for which the network's output is not finite are skipped and reported on stderr.

    Args:
        localizer: the network and its options.
        batches: inputs with their RGB images.
        labels: returns the class to localize in an image; None stands for the predicted class.
        unreadable: receives the path and the reason of each skipped image.
    """
    running = None
    for batch in batches:
        following = _start(localizer, batch, labels)
        if running:
            yield running(unreadable)
        running = following
    if running:
        yield running(unreadable)


def _start(
    localizer: Localizer, batch: InputBatch, labels: Callable[[Input], int | None] | None
) -> Callable[[dict[str, str]], Results]:
    inputs = [given for given, _ in batch]
    finish = localizer.start(
        [image for _, image in batch], [labels(given) for given in inputs] if labels else None
    )

    def collect(unreadable: dict[str, str]) -> Results:
        results = []
        for given, result in zip(inputs, finish(), strict=True):
            if isinstance(result, NotFiniteError):
                report_unreadable(given, result, unreadable)
            else:
                results.append((given, result))
        return results

    return collect


class FolderLabels:
    """Returns the class named by an image's folder, and counts images whose folder is not a class."""

    def __init__(self, model: LoadedModel):
        self._names = model.class_names
        self._num_unknown = 0
        self._example = ""

    def __call__(self, given: Input) -> int | None:
        """Return the class's index; None if the folder is not a class. Frames have their video's folder."""
        label = folder_label(given.origin, self._names)
        if label is None:
            self._num_unknown += 1
            self._example = self._example or given.origin.absolute().parent.name
        return label

    def describe(self) -> str | None:
        """Describe in how many images the predicted class is localized instead; None if in none."""
        if not self._num_unknown:
            return None
        images = some(self._num_unknown, "image")
        return (
            f"--classes folder: {images} in folders that are not classes of the network, such as "
            f"{self._example!r}; the predicted class is localized"
        )
