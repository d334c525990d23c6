"""An evaluation's results without a network: blobs as maps, boxes beside them."""

import numpy as np

from lctr_jax.evaluation.stream import Result
from lctr_jax.localization.accumulator import Accumulator
from lctr_jax.localization.content_free import ContentFree
from lctr_jax.localization.measurement import Sample, measure
from lctr_jax.localization.protocols import get_protocol
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.summary import summarize
from lctr_jax.localization.thresholds import Threshold

SIZE, GRID = 64, 8
HOSTILE = ('<script>document.title="pwned"</script>', "\"><img src=x onerror=alert('1')>", "naïve & 日本語")


def make_settings(protocol: str = "lctr", *, num_classes: int = 3) -> Settings:
    return Settings(
        threshold=Threshold(0.3, "held-out", "val"),
        num_classes=num_classes,
        image_size=SIZE,
        protocol=get_protocol(protocol),
        num_resamples=50,
    )


def make_results(count: int, settings: Settings, *, seed: int = 0, boxes: bool = True) -> list[Result]:
    """`count` results whose images are views of one batch, as those of the stream are."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (count, SIZE, SIZE, 3), np.uint8)
    return [_make_result(index, images[index], settings, rng, boxes=boxes) for index in range(count)]


def summarize_results(results: list[Result], settings: Settings):
    """Metrics and sums, as an evaluation gives them."""
    accumulator = Accumulator(settings)
    content_free = ContentFree(settings.protocol, image_size=SIZE)
    for result in results:
        accumulator.add(result.sample, result.measurement)
        truth = result.sample.boxes_xyxy
        content_free.add(truth, np.array([len(truth)]))
    sums = accumulator.sums()
    metrics = {"split": "test", **summarize(sums, settings)}
    if metrics["num_images_with_boxes"]:
        untrained = {"gt_known_loc": 12.5, "threshold": 0.25, "threshold_source": "oracle"}
        metrics["baselines"] = content_free.summarize() | {"untrained": untrained}
    return metrics, sums


def _make_result(index, image, settings, rng, *, boxes) -> Result:
    y, x = np.mgrid[:GRID, :GRID]
    center = rng.uniform(1, GRID - 1, 2)
    relation_map = np.exp(-((y - center[0]) ** 2 + (x - center[1]) ** 2) / 4).astype(np.float32)
    class_map = rng.uniform(0.5, 1, (GRID, GRID)).astype(np.float32)
    label = int(rng.integers(settings.num_classes))
    top = rng.permutation(settings.num_classes)[:5].astype(np.int32)
    corner = np.clip(center[::-1] * GRID - rng.uniform(4, 24, 2), 0, SIZE - 8)
    truth = np.concatenate([corner, np.minimum(corner + rng.uniform(8, 40, 2), SIZE)])[None]
    sample = Sample(
        id=f"class/{index:04d}.jpg",
        label=label,
        top5=top,
        predicted_map=relation_map * class_map,
        label_map=relation_map * class_map,
        boxes_xyxy=truth if boxes else np.zeros((0, 4)),
    )
    return Result(
        image=image,
        width=SIZE,
        height=SIZE,
        sample=sample,
        measurement=measure(sample, settings),
        probability=np.sort(rng.dirichlet(np.ones(len(top) + 1)))[:0:-1].astype(np.float32),
        relation_map=relation_map,
        class_map=class_map,
        map_class=settings.boxed_class,
    )
