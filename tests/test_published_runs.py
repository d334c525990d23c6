"""train.py on CUB and ImageNet with configs/cub.py and configs/imagenet.py, on small official archives."""

import json
import sys
from pathlib import Path

import jax
import published
import pytest
from test_datasets import Imagenet2012

from lctr_jax import prepare
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import save_weights
from lctr_jax.inference.threshold import read_threshold
from lctr_jax.localization.metrics import METRICS
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run import assembly
from lctr_jax.run.seed_summary import summarize_folders
from lctr_jax.train import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SMALL = [
    "--config.model.name=deit_tiny",
    "--config.model.image_size=32",
    "--config.model.patch_size=8",
    "--config.model.width=16",
    "--config.model.depth=1",
    "--config.model.heads=2",
    "--config.data.num_workers=0",
    "--config.train.batch_size=8",
    "--config.train.log_every_steps=1",
    "--config.eval.batch_size=8",
    "--config.eval.untrained_baseline=False",
    "--config.eval.sheet_images=1",
]


def prepare_data(name, source, data_dir, *more):
    where = ("--source", str(source), "--data_dir", str(data_dir))
    prepare.main([name, *where, "--num_processes", "1", "--partial", *map(str, more)])


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run train.py with a shipped config, a tiny network and everything else as published."""

    def run_command(config: str, data_dir: Path, *arguments: str, workdir: str = "run") -> Path:
        command = ["train.py", "--config", str(ROOT / f"configs/{config}.py")]
        where = [f"--workdir={tmp_path / workdir}", f"--config.data.data_dir={data_dir}"]
        monkeypatch.setattr(sys, "argv", [*command, *where, *SMALL, *arguments])
        main()
        return tmp_path / workdir

    return run_command


def record_options(monkeypatch, name: str) -> dict:
    """The keyword options of `assembly`'s call of a function, filled in when it is called."""
    called_with, original = {}, getattr(assembly, name)

    def record(*arguments, **options):
        called_with.update(options)
        return original(*arguments, **options)

    monkeypatch.setattr(assembly, name, record)
    return called_with


def results(workdir: Path) -> dict:
    return json.loads((workdir / "eval/metrics.json").read_text())


def logged(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_cub_trains_as_published_and_takes_its_threshold_from_cubv2(run, tmp_path, monkeypatch, capsys):
    files, masks, facts = published.cub_files(images_per_class=16)
    published.pack(tmp_path / "downloads/segmentations.tgz", masks, "w:gz")
    published.pack(tmp_path / "downloads/CUB_200_2011.tgz", files, "w:gz")
    keys = [f"{bird}/{number}.jpg" for number, bird in enumerate(published.BIRDS)]
    published.unpack(tmp_path / "CUBV2", {key: published.encode(1) for key in keys})
    lists = {
        "class_labels.txt": "".join(f"{key},{label}\n" for label, key in enumerate(keys)).encode(),
        "localization.txt": "".join(f"{key},4,2,40,30\n" for key in keys).encode(),
    }
    published.unpack(tmp_path / "metadata", lists)
    heldout = ("--heldout", tmp_path / "CUBV2", tmp_path / "metadata")
    prepare_data("cub", tmp_path / "downloads", tmp_path / "data", *heldout)

    host, device = (record_options(monkeypatch, name) for name in ("train_batches", "compile_step"))
    capsys.readouterr()
    workdir = run(
        "cub", tmp_path / "data", "--config.train.epochs=1", "--config.eval.threshold_split=heldout"
    )
    metrics = results(workdir)
    assert (metrics["split"], metrics["num_images"]) == ("test", sum(not fact[3] for fact in facts))
    assert metrics["threshold_source"] == "held-out (heldout)"
    assert "pxap" in metrics
    augmentation = host["augmentation"]
    assert device["augmentation"] == augmentation
    assert (
        augmentation.randaugment_layers,
        augmentation.randaugment_magnitude,
        augmentation.randaugment_magnitude_std,
    ) == (
        2,
        9,
        0.5,
    )
    assert (augmentation.repeats, augmentation.erasing) == (3, 0.25)
    steps = logged(workdir)
    assert [line["step"] for line in steps] == [1, 2, 3]
    assert all(0 <= line["train/waiting_for_data"] <= 1 for line in steps)
    progress = [line for line in capsys.readouterr().err.splitlines() if line.startswith("step ")]
    for line, step in zip(progress, steps, strict=True):
        assert f"  data {100 * step['train/waiting_for_data']:.0f}%" in line


def test_imagenet_trains_and_its_boxes_are_the_same_in_every_layout(run, tmp_path):
    train, val = published.ilsvrc_facts()
    source = published.unpack(tmp_path / "ilsvrc", {f"train/{name}": image for name, image in train.items()})
    images = {f"val/{published.WNIDS[label]}/{name}.JPEG": image for name, label, _, image in val}
    published.unpack(source, images)
    boxes = published.ilsvrc_box_list("lctr", tmp_path / "lists", val)
    data_dir = tmp_path / "data"
    prepare_data("imagenet", source, data_dir, "--boxes", f"val={boxes}")
    trained = run("imagenet", data_dir, "--config.train.epochs=3", workdir="trained")
    assert [line["step"] for line in logged(trained)] == [1, 2, 3]
    metrics = results(trained)
    assert (metrics["split"], metrics["num_images_with_boxes"]) == ("val", len(val))
    assert (metrics["threshold"], metrics["threshold_source"]) == (0.18, "fixed")

    Imagenet2012(data_dir=data_dir).download_and_prepare(file_format="array_record")
    for layout in ("imagenet2012", "folder"):
        options = [f"--config.data.name={layout}", f"--config.data.boxes.val={boxes}"]
        options += ["--eval", f"--checkpoint={trained}", f"--config.data.root={source}"]
        other = results(run("imagenet", data_dir, *options, workdir=layout))
        for name in ("num_images_with_boxes", "top1_cls", "gt_known_loc", "top1_loc", "max_box_acc_v2"):
            assert other[name] == pytest.approx(metrics[name]), (layout, name)


@pytest.fixture
def refused(run, capsys):
    """Run a command that must fail with exit status 2 and one line; return the line."""

    def run_refused(*arguments: str | Path, **options: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run(*arguments, **options)
        assert stop.value.code == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        return lines[0]

    return run_refused


@pytest.mark.parametrize(
    ("config", "archive", "place"),
    [
        ("cub", "CUB_200_2011.tgz", "https://www.vision.caltech.edu/datasets/cub_200_2011"),
        ("imagenet", "ILSVRC2012_img_train.tar", "https://image-net.org"),
    ],
)
def test_without_data_one_line_says_what_to_do(refused, tmp_path, config, archive, place):
    line = refused(config, tmp_path)
    assert archive in line
    assert place in line
    assert f"`python -m lctr_jax.prepare {config} --source DIR --data_dir {tmp_path}`" in line


def test_a_checkpoint_is_evaluated_without_training_images(run, refused, tmp_path):
    _, val = published.ilsvrc_facts()
    source = published.unpack(tmp_path / "ilsvrc", {f"val/{name}.JPEG": image for name, _, _, image in val})
    published.ilsvrc_box_list("xml", source, val)
    prepare_data("imagenet", source, tmp_path / "data", "--splits", "val")
    spec = ModelSpec(image_size=32, patch_size=8, num_classes=1000, width=16, depth=1, heads=2)
    save_weights(
        tmp_path / "weights", Metadata(kind="network", spec=spec), initialize(spec, jax.random.key(0))
    )
    options = ["--eval", f"--checkpoint={tmp_path / 'weights'}", "--config.eval.match_classes=index"]
    metrics = results(run("imagenet", tmp_path / "data", *options))
    assert (metrics["split"], metrics["num_images_with_boxes"]) == ("val", len(val))
    line = refused("imagenet", tmp_path / "data", workdir="trained")
    assert line.startswith("error: data split: imagenet in ")
    assert "was prepared for evaluation alone (--splits), without train; to train, prepare all of it" in line


def test_a_corrupt_image_is_skipped_and_counted(run, tmp_path, capsys):
    files, _, facts = published.cub_files(images_per_class=16)
    name = next(name for _, name, _, in_train, _ in facts if in_train)
    image = files[f"CUB_200_2011/images/{name}"]
    files[f"CUB_200_2011/images/{name}"] = image[: len(image) // 2]
    source = published.unpack(tmp_path / "downloads", files)
    prepare_data("cub", source, tmp_path / "data", "--no_decode")
    once = ("--config.augmentation.repeats=1", "--config.train.epochs=1")  # 24 images: three whole batches
    workdir = run("cub", tmp_path / "data", *once, "--config.data.on_corrupt=skip")
    assert sorted(line["train/replaced"] for line in logged(workdir)) == [0, 0, 1]
    progress = [line for line in capsys.readouterr().err.splitlines() if line.startswith("step ")]
    assert sum("replaced 1" in line for line in progress) == 1


def test_openimages_is_measured_on_masks_alone(run, tmp_path, capsys):
    source, lists, _ = published.openimages(tmp_path)
    prepare_data("openimages", source, tmp_path / "data", "--metadata", lists)
    capsys.readouterr()
    workdir = run(
        "trilite_openimages",
        tmp_path / "data",
        "--config.augmentation.resize=36",
        "--config.augmentation.image_size=32",
        "--config.eval.image_size=32",
        "--config.train.epochs=2",
        "--config.train.eval_every_epochs=1",
        "--config.train.keep_best=eval/pxap",
    )
    metrics, said = results(workdir), capsys.readouterr().err
    assert metrics["threshold_source"] == "held-out (val)"
    assert 0 < metrics["pixel_iou"] <= metrics["peak_pixel_iou"] < 100
    on_boxes = {metric.name for metric in METRICS if metric.needs == "boxes"}
    for measured in (metrics, *metrics["baselines"].values()):
        assert not on_boxes & measured.keys()
        assert 0 < measured["pxap"] < 100
    assert "best eval/pxap so far: " in said
    assert f"all thresholds: PxAP {metrics['pxap']:.2f}; threshold {metrics['threshold']:.3f}" in said
    assert "not calibrated" not in said
    report = (workdir / "eval/report.html").read_text()
    assert '<p class="name">PxAP</p>' in report
    assert "PxAP has no interval." in report
    assert summarize_folders([workdir])["metrics"]["pxap"]["mean"] == metrics["pxap"]
    evaluated = read_threshold(workdir / "eval/metrics.json")
    assert evaluated is not None
    assert evaluated.source == "the run's evaluation, held-out (val)"
