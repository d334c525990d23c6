import pickle
from pathlib import Path

import numpy as np
import published
import pytest
import tensorflow_datasets as tfds
from animals import draw_animals
from animals import open_split as open_animals

from lctr_jax.data import datasets, tfds_prepared
from lctr_jax.host import file_locks

SIZE = (48, 36)


class Caltech_birds2011(tfds.core.ShardBasedBuilder, skip_registration=True):  # noqa: N801 the name is TFDS's
    """The features of TFDS's own builder, with small published files behind them."""

    name = "caltech_birds2011"
    VERSION = tfds.core.Version("0.2.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(),
                    "image/filename": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(num_classes=3),
                    "label_name": tfds.features.Text(),
                    "bbox": tfds.features.BBoxFeature(),
                    "segmentation_mask": tfds.features.Image(shape=(None, None, 1)),
                }
            ),
        )

    def _shard_iterators_per_split(self, dl_manager):
        return {"train": [lambda: self._examples(1)], "test": [lambda: self._examples(0)]}

    def _examples(self, wanted):
        files, masks, facts = published.cub_files()
        for number, name, label, in_train, _ in facts:
            if in_train == wanted:
                yield (
                    number,
                    {
                        "image": files[f"CUB_200_2011/images/{name}"],
                        "image/filename": f"CUB_200_2011/images/{name}",
                        "label": label,
                        "label_name": "bird",
                        "bbox": tfds.features.BBox(0.0, 0.0, 1.0, 1.0),
                        "segmentation_mask": masks[f"segmentations/{name.replace('.jpg', '.png')}"],
                    },
                )


class Imagenet2012(tfds.core.ShardBasedBuilder, skip_registration=True):
    """As above."""

    name = "imagenet2012"
    VERSION = tfds.core.Version("5.1.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=list(published.WNIDS)),
                    "file_name": tfds.features.Text(),
                }
            ),
        )

    def _shard_iterators_per_split(self, dl_manager):
        return {"validation": [self._examples]}

    def _examples(self):
        for name, label, _, image in published.ilsvrc_facts()[1]:
            yield name, {"image": image, "label": label, "file_name": f"{name}.JPEG"}


def prepare(builder_class, data_dir, file_format="array_record"):
    builder_class(data_dir=data_dir).download_and_prepare(file_format=file_format)


def test_birds_that_tfds_prepared_take_the_published_boxes(tmp_path):
    prepare(Caltech_birds2011, tmp_path)
    files, _, facts = published.cub_files()
    lists = published.unpack(tmp_path / "lists", {k: v for k, v in files.items() if k.endswith(".txt")})
    boxes = {"test": lists / "CUB_200_2011"}
    split = datasets.open_split("caltech_birds2011", "test", data_dir=tmp_path, boxes=boxes)
    assert (split.has_boxes, split.has_masks, len(split)) == (True, True, 6)
    records = {record["id"]: record for record in (split[i] for i in range(6))}
    for _, name, label, in_train, (x, y, width, height) in facts:
        if not in_train:
            assert records[name]["label"] == label
            assert records[name]["image"] == files[f"CUB_200_2011/images/{name}"]
            np.testing.assert_array_equal(records[name]["boxes_xyxy"], [[x, y, x + width, y + height]])
    again = pickle.loads(pickle.dumps(split))
    assert again[3]["mask"] == split[3]["mask"]
    assert not datasets.open_split("caltech_birds2011", "train", data_dir=tmp_path).has_boxes


@pytest.mark.parametrize("form", ["xml", "kaggle", "lctr", "wsoleval"])
def test_imagenet_that_tfds_prepared_takes_boxes_of_every_list(tmp_path, form):
    prepare(Imagenet2012, tmp_path)
    _, val = published.ilsvrc_facts()
    boxes = {"val": published.ilsvrc_box_list(form, tmp_path / "lists", val)}
    split = datasets.open_split("imagenet2012", "val", data_dir=tmp_path, boxes=boxes)
    assert split.class_names == list(published.WNIDS)
    assert len(split) == len(val)
    for index, (name, label, expected, image) in enumerate(val):
        record = split[index]
        assert (record["id"], record["label"], record["image"]) == (f"{name}.JPEG", label, image)
        np.testing.assert_array_equal(record["boxes_xyxy"], expected)
    half = datasets.open_split("imagenet2012", "val[:50%]", data_dir=tmp_path, boxes=boxes)
    assert len(half) == 3
    np.testing.assert_array_equal(half[0]["boxes_xyxy"], val[0][2])


def test_a_list_of_other_images_is_refused(tmp_path):
    prepare(Imagenet2012, tmp_path)
    (tmp_path / "list.txt").write_text("val/other.JPEG,1,2,3,4\n")
    with pytest.raises(ValueError, match="none of the first 100 images of imagenet2012 is in this box list"):
        datasets.open_split("imagenet2012", "val", data_dir=tmp_path, boxes={"val": tmp_path / "list.txt"})


def test_the_newest_prepared_version_is_read(tmp_path):
    for version in ("2.0.0", "10.0.0", "5.1.0"):
        (tmp_path / "imagenet2012" / version).mkdir(parents=True)
        (tmp_path / "imagenet2012" / version / "dataset_info.json").touch()
    assert tfds_prepared.find_prepared("imagenet2012", tmp_path).name == "10.0.0"


def test_what_tfds_has_not_prepared(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"TFDS has prepared no imagenet2012 in .*; run `tfds build"):
        datasets.open_split("imagenet2012", "val", data_dir=tmp_path)


def test_tfrecords_are_refused_with_the_way_out(tmp_path):
    prepare(Imagenet2012, tmp_path)
    info = next(Path(tmp_path).rglob("dataset_info.json"))
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(
        ValueError, match="is not in ArrayRecord format; prepare it with file_format=array_record"
    ):
        datasets.open_split("imagenet2012", "val", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", r"data\.name: no dataset is called 'digit'; did you mean 'digits'\?"),
        ("imagnet", r"did you mean 'imagenet'\?"),
        (
            "coco",
            r"dataset is called .coco.; known: digits, digits/clean, cub, imagenet, .*, folder",
        ),
        ("folder", r"data\.root: is empty, expected the image folder"),
    ],
)
def test_names(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        datasets.open_split(name, "train", data_dir=tmp_path)


def test_a_box_list_that_nothing_would_read_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"data\.boxes: got .*, but cub has the boxes it was prepared with"):
        datasets.open_split("cub", "test", data_dir=tmp_path, boxes={"test": "list.txt"})
    prepare(Imagenet2012, tmp_path)
    with pytest.raises(ValueError, match="data split: imagenet2012 has validation; got 'test'"):
        datasets.open_split("imagenet2012", "val", data_dir=tmp_path, boxes={"test": "list.txt"})


def test_an_unknown_split_is_reported_the_known_ones(tmp_path):
    prepare(Imagenet2012, tmp_path)
    with pytest.raises(ValueError, match="data split: imagenet2012 has validation; got 'test'"):
        datasets.open_split("imagenet2012", "test", data_dir=tmp_path)


def test_a_failed_preparation_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(builder, **options):
        Path(builder.data_dir).mkdir(parents=True)
        raise OSError("the images are gone")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(OSError, match="the images are gone"):
        datasets.open_split("digits", "test", data_dir=tmp_path / "data")
    assert not (tmp_path / "data").exists()
    (tmp_path / "own").mkdir()
    with pytest.raises(OSError, match="the images are gone"):
        datasets.open_split("digits", "test", data_dir=tmp_path / "own")
    assert (tmp_path / "own").exists()


def test_a_place_that_cannot_be_written_is_named_with_the_option(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"is not prepared in .*file/data, .* data\.data_dir or --data_dir"):
        datasets.open_split("digits", "test", data_dir=tmp_path / "file" / "data")


def test_prepared_data_is_found_without_a_lock(tmp_path, monkeypatch):
    draw_animals(tmp_path)
    found = open_animals(tmp_path / "animals", "val")
    monkeypatch.setattr(file_locks, "lock_exclusively", lambda *_, **__: pytest.fail("locked"))
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("written to"))
    assert len(open_animals(tmp_path / "animals", "val")) == len(found)
