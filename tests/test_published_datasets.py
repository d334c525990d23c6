import functools
import http.server
import io
import threading

import numpy as np
import published
import pytest
from PIL import Image
from tensorflow_datasets.core.download.checksums import UrlInfo, compute_url_info
from tensorflow_datasets.core.units import Size

from lctr_jax import prepare
from lctr_jax.data import datasets
from lctr_jax.data.cub import release as cub
from lctr_jax.data.cub.builder import Cub


def run(name, source, data_dir, *more):
    prepare.main([name, "--source", str(source), "--data_dir", str(data_dir), "--num_processes", "1", *more])


def by_id(split):
    return {record["id"]: record for record in (split[i] for i in range(len(split)))}


def fails(capsys, *arguments):
    """Run the command line, expect exit status 2, and return its last line."""
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def cub_source(form, folder):
    files, masks, facts = published.cub_files()
    match form:
        case "archive":
            published.pack(folder / "segmentations.tgz", masks, "w:gz")
            return published.pack(folder / "CUB_200_2011.tgz", files, "w:gz"), facts
        case "folder of archives":
            published.pack(folder / "segmentations.tgz", masks, "w:gz")
            return published.pack(folder / "CUB_200_2011.tgz", files, "w:gz").parent, facts
        case "folder":
            published.unpack(folder, files | masks)
            return folder / "CUB_200_2011", facts
    raise ValueError(form)


@pytest.mark.parametrize("form", ["archive", "folder of archives", "folder"])
def test_cub_every_field(tmp_path, form):
    source, facts = cub_source(form, tmp_path / "downloads")
    files, masks, _ = published.cub_files()
    run("cub", source, tmp_path / "data", "--partial")
    opened = {
        split: datasets.open_split("cub", split, data_dir=tmp_path / "data") for split in ("train", "test")
    }
    records = {split: by_id(opened[split]) for split in opened}
    for split in opened.values():
        assert split.class_names == list(published.BIRDS)
        assert split.has_boxes
        assert split.has_masks
    for _, name, label, in_train, (x, y, width, height) in facts:
        record = records["train" if in_train else "test"].pop(name)
        assert record["label"] == label
        assert record["image"] == files[f"CUB_200_2011/images/{name}"]
        np.testing.assert_array_equal(record["boxes_xyxy"], [[x, y, x + width, y + height]])
        published_mask = Image.open(io.BytesIO(masks[f"segmentations/{name.replace('.jpg', '.png')}"]))
        mask = np.asarray(Image.open(io.BytesIO(record["mask"])))
        np.testing.assert_array_equal(mask, np.asarray(published_mask) >= 153)  # three of five annotators
    assert records == {"train": {}, "test": {}}


def test_cub_without_segmentations(tmp_path):
    files, _, _ = published.cub_files()
    run("cub", published.unpack(tmp_path / "downloads", files), tmp_path / "data", "--partial")
    split = datasets.open_split("cub", "test", data_dir=tmp_path / "data")
    assert not split.has_masks
    assert "mask" not in split[0]


def test_cub_test_alone_needs_no_training_image(tmp_path):
    files, masks, facts = published.cub_files()
    for _, name, _, in_train, _ in facts:
        if in_train:
            del files[f"CUB_200_2011/images/{name}"], masks[f"segmentations/{name.replace('.jpg', '.png')}"]
    source = published.unpack(tmp_path / "downloads", files | masks)
    run("cub", source, tmp_path / "data", "--partial", "--splits", "test")
    split = datasets.open_split("cub", "test", data_dir=tmp_path / "data")
    assert split.class_names == list(published.BIRDS)
    assert {name: record["label"] for name, record in by_id(split).items()} == {
        name: label for _, name, label, in_train, _ in facts if not in_train
    }
    assert all(record["mask"] for record in by_id(split).values())
    with pytest.raises(ValueError, match="without train; to train, prepare all of it"):
        datasets.open_split("cub", "train", data_dir=tmp_path / "data")


def test_cub_with_the_held_out_split_of_wsoleval(tmp_path):
    source, _ = cub_source("archive", tmp_path / "downloads")
    keys = [f"{bird}/{number}.jpg" for number, bird in enumerate(published.BIRDS)]
    published.unpack(tmp_path / "CUBV2", {key: published.encode(key.__len__()) for key in keys})
    lists = {
        "class_labels.txt": "".join(f"{key},{label}\n" for label, key in enumerate(keys)).encode(),
        "localization.txt": "".join(f"{key},1,2,{10 + i},20\n" for i, key in enumerate(keys)).encode(),
    }
    published.unpack(tmp_path / "metadata", lists)
    run(
        "cub",
        source,
        tmp_path / "data",
        "--partial",
        "--heldout",
        str(tmp_path / "CUBV2"),
        str(tmp_path / "metadata"),
    )
    split = datasets.open_split("cub", "heldout", data_dir=tmp_path / "data")
    found = {key: (r["label"], r["boxes_xyxy"].tolist()) for key, r in by_id(split).items()}
    assert found == {key: (label, [[1, 2, 10 + label, 20]]) for label, key in enumerate(keys)}
    assert (split.has_boxes, split.has_masks) == (True, False)


def test_cub_as_wsolevals_scripts_leave_it(tmp_path, capsys):
    source, lists, splits, masks = published.wsoleval_cub(tmp_path)
    segmentations = published.unpack(tmp_path, masks) / "segmentations"
    command = ("cub", source, tmp_path / "data", "--metadata", str(lists), "--partial")
    run(*command, "--segmentations", str(segmentations))
    for split, name in (("train", "train"), ("test", "test"), ("val", "heldout")):
        opened = datasets.open_split("cub", name, data_dir=tmp_path / "data")
        assert opened.class_names == list(published.BIRDS)
        assert opened.has_masks == (name != "heldout")
        found = by_id(opened)
        assert {key: record["label"] for key, record in found.items()} == {
            key: label for key, (label, _) in splits[split].items()
        }
        for key, record in found.items():
            assert record["image"] == (source / key).read_bytes()
            np.testing.assert_array_equal(record["boxes_xyxy"], np.array(splits[split][key][1], np.float32))
    for key in splits["val"]:
        (source / key).unlink()
    capsys.readouterr()
    run(*command, "--overwrite")
    assert (
        f"no split heldout: none of the 3 images of {lists / 'val'} is in {source}" in capsys.readouterr().err
    )
    with pytest.raises(ValueError, match="cub has train, test; got 'heldout'"):
        datasets.open_split("cub", "heldout", data_dir=tmp_path / "data")


def test_cub_in_wsolevals_layout_with_faults(tmp_path, capsys):
    source, lists, splits, _ = published.wsoleval_cub(tmp_path)
    command = ("cub", source, tmp_path / "data", "--metadata", str(lists), "--partial")
    with pytest.raises(SystemExit):
        prepare.main(["cub", "--metadata", str(lists), "--data_dir", str(tmp_path / "data")])
    assert "--metadata: got " in capsys.readouterr().err
    (source / "images.txt").write_text("1 a.jpg\n")
    assert "has CUB's own lists, images.txt and others; leave it out" in fails(capsys, *command)
    (source / "images.txt").unlink()
    name = next(iter(splits["test"]))
    (source / name).unlink()
    assert f"cub: the image of {name} is missing" in fails(capsys, *command)


def test_cub_downloads_with_checksums(tmp_path, monkeypatch, capsys):
    files, masks, _ = published.cub_files()
    served = {"CUB_200_2011.tgz": files, "segmentations.tgz": masks}
    paths = [published.pack(tmp_path / "web" / name, served[name], "w:gz") for name in served]
    handler = functools.partial(QuietHandler, directory=tmp_path / "web")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    urls = [f"http://127.0.0.1:{server.server_port}/{name}" for name in served]
    monkeypatch.setattr(cub, "IMAGES_URL", urls[0])
    monkeypatch.setattr(cub, "SEGMENTATIONS_URL", urls[1])
    monkeypatch.setattr(Cub, "url_infos", {u: compute_url_info(p) for u, p in zip(urls, paths, strict=True)})
    prepare.main(["cub", "--data_dir", str(tmp_path / "data"), "--num_processes", "1", "--partial"])
    assert len(datasets.open_split("cub", "test", data_dir=tmp_path / "data")) == 6

    wrong = {url: UrlInfo(size=Size(1), checksum="0" * 64, filename=None) for url in urls}
    monkeypatch.setattr(Cub, "url_infos", wrong)
    with pytest.raises(SystemExit):
        prepare.main(["cub", "--data_dir", str(tmp_path / "other"), "--num_processes", "1", "--partial"])
    assert "wrong checksum" in capsys.readouterr().err.splitlines()[-1]
    server.shutdown()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


def test_without_data_or_network_one_line_says_what_to_do(tmp_path, monkeypatch, capsys):
    for name, archive in (("cub", "CUB_200_2011.tgz"), ("imagenet", "ILSVRC2012_img_train.tar")):
        with pytest.raises(
            FileNotFoundError, match=f"{name} is not prepared in .*: download {archive}"
        ) as caught:
            datasets.open_split(name, "train", data_dir=tmp_path)
        message = str(caught.value)
        assert f"`python -m lctr_jax.prepare {name} --source DIR --data_dir {tmp_path}`" in message
        assert "\n" not in message
    monkeypatch.setattr(cub, "IMAGES_URL", "http://127.0.0.1:9/CUB_200_2011.tgz")  # nothing listens there
    with pytest.raises(SystemExit):
        prepare.main(["cub", "--data_dir", str(tmp_path), "--num_processes", "1"])
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(
        "error: cub: the download failed (127.0.0.1 cannot be reached): download CUB_200"
    )


def test_cub_counts_are_checked(tmp_path, capsys):
    source, _ = cub_source("folder", tmp_path / "downloads")
    assert "train: found 6 images, expected 5994" in fails(capsys, "cub", source, tmp_path / "data")


def test_cub_lists_that_disagree(tmp_path, capsys):
    files, _, _ = published.cub_files()
    folder = published.unpack(tmp_path / "downloads", files) / "CUB_200_2011"
    (folder / "image_class_labels.txt").write_text("1 1\n2 1\n")
    message = fails(capsys, "cub", folder, tmp_path / "data", "--partial")
    assert message == "error: cub: image_class_labels.txt lists 2 images, images.txt 12"
    (folder / "classes.txt").unlink()
    assert "classes.txt is missing" in fails(capsys, "cub", folder, tmp_path / "data", "--partial")
    assert "is not CUB_200_2011.tgz" in fails(capsys, "cub", tmp_path, tmp_path / "data")


def test_held_out_faults(tmp_path, capsys):
    source, _ = cub_source("folder", tmp_path / "downloads")
    images, lists = tmp_path / "images", tmp_path / "lists"
    published.unpack(images, {"a/1.jpg": published.encode(1)})
    command = ("cub", source, tmp_path / "data", "--partial", "--heldout", str(images), str(lists))
    assert "expected " + str(lists / "class_labels.txt") in fails(capsys, *command)
    published.unpack(lists, {"class_labels.txt": b"a/1.jpg,0\n", "localization.txt": b"b/1.jpg,1,2,3,4\n"})
    assert "localization.txt: no box for a/1.jpg" in fails(capsys, *command)
    published.unpack(lists, {"class_labels.txt": b"a/1.jpg,7\n", "localization.txt": b"a/1.jpg,1,2,3,4\n"})
    assert "a/1.jpg has label 7; expected 0..2" in fails(capsys, *command)
    published.unpack(lists, {"class_labels.txt": b"a/2.jpg,0\n", "localization.txt": b"a/2.jpg,1,2,3,4\n"})
    assert "lacks 1 images, such as a/2.jpg" in fails(capsys, *command)
    published.unpack(lists, {"class_labels.txt": b"../2.jpg,0\n"})
    assert "leaves the image folder" in fails(capsys, *command)
    published.unpack(lists, {"class_labels.txt": b"a/2.jpg zero\n"})
    assert "class_labels.txt:1: expected `path,label`" in fails(capsys, *command)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("image_class_labels", "1 0", "image 1 has class 0; expected 1 to 3"),
        ("image_class_labels", "1 four", "image 1 has class four"),
        ("train_test_split", "1 2", "image 1 has '2'; expected 0 or 1"),
        ("classes", "0 x", "classes.txt: expected the ids 1 to 3"),
        ("image_class_labels", "1", "expected a new id and its value, got '1'"),
        ("bounding_boxes", "", "no box for 1 of the 12 images of images.txt"),
    ],
)
def test_cub_lists_with_a_wrong_line(tmp_path, capsys, name, line, message):
    files, _, _ = published.cub_files()
    folder = published.unpack(tmp_path / "downloads", files) / "CUB_200_2011"
    lines = (folder / f"{name}.txt").read_text().splitlines()
    (folder / f"{name}.txt").write_text("\n".join([line, *lines[1:]]))
    assert message in fails(capsys, "cub", folder, tmp_path / "data", "--partial")
