import functools
import http.server
import io
import re
import threading

import numpy as np
import published
import pytest
from PIL import Image
from tensorflow_datasets.core.download.checksums import UrlInfo, compute_url_info
from tensorflow_datasets.core.units import Size

from lctr_jax import prepare
from lctr_jax.data import datasets, shards
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


def test_bad_images_are_listed_by_file(tmp_path, capsys):
    files, _, facts = published.cub_files()
    names = [name for _, name, *_ in facts]
    files[f"CUB_200_2011/images/{names[0]}"] = b"no image"
    files[f"CUB_200_2011/images/{names[5]}"] = files[f"CUB_200_2011/images/{names[5]}"][:300]
    source = published.unpack(tmp_path / "downloads", files)
    with pytest.raises(SystemExit):
        run("cub", source, tmp_path / "data", "--partial")
    *_, first, second, last = capsys.readouterr().err.splitlines()
    assert {first.split(":")[0], second.split(":")[0]} == {names[0], names[5]}
    assert last.startswith("error: 2 bad records: ")


def test_a_second_try_writes_only_what_is_left(tmp_path, monkeypatch):
    """The bad shard is written again, the sound ones are not."""
    monkeypatch.setattr(shards, "_SHARD_BYTES", 4_000)
    files, _, facts = published.cub_files()
    source = published.unpack(tmp_path / "downloads", files)
    bad = source / "CUB_200_2011" / "images" / facts[0][1]
    sound = bad.read_bytes()
    bad.write_bytes(bytes(len(sound)))
    with pytest.raises(SystemExit):
        run("cub", source, tmp_path / "data", "--partial")
    unfinished = tmp_path / "data" / "cub" / "1.0.0.unfinished"
    finished = {path.name: path.stat().st_mtime_ns for path in unfinished.iterdir()}
    assert len(finished) >= 4
    bad.write_bytes(sound)
    written = []
    original = shards.ShardWriter._write_one
    monkeypatch.setattr(
        shards.ShardWriter,
        "_write_one",
        lambda self, shard, **k: [written.append(shard.name), *original(self, shard, **k)][1:],
    )
    run("cub", source, tmp_path / "data", "--partial")
    assert len(written) == 1
    assert written[0] not in finished
    assert not unfinished.exists()
    assert len(datasets.open_split("cub", "train", data_dir=tmp_path / "data")) == 6


def test_parallel_writing_gives_the_same_records(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_SHARD_BYTES", 4_000)
    files, masks, _ = published.cub_files()
    source = published.unpack(tmp_path / "downloads", files | masks)
    run("cub", source, tmp_path / "one", "--partial")
    run("cub", source, tmp_path / "two", "--partial", "--num_processes", "2")
    one, two = (datasets.open_split("cub", "train", data_dir=tmp_path / d) for d in ("one", "two"))
    assert [repr(one[i]) for i in range(len(one))] == [repr(two[i]) for i in range(len(two))]


def test_prepared_again_only_when_asked(tmp_path):
    files, masks, _ = published.cub_files()
    source = published.unpack(tmp_path / "downloads", files)
    run("cub", source, tmp_path / "data", "--partial")
    published.unpack(tmp_path / "downloads", masks)
    with pytest.raises(SystemExit):
        run("cub", source, tmp_path / "data", "--partial")
    assert not datasets.open_split("cub", "test", data_dir=tmp_path / "data").has_masks
    run("cub", source, tmp_path / "data", "--partial", "--overwrite")
    assert datasets.open_split("cub", "test", data_dir=tmp_path / "data").has_masks


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


def test_summary_and_usage(tmp_path, capsys):
    source, _ = cub_source("folder", tmp_path / "downloads")
    run("cub", source, tmp_path / "data", "--partial")
    out = capsys.readouterr().out
    assert str(tmp_path / "data" / "cub" / "1.0.0") in out
    assert "3 classes" in out
    with pytest.raises(SystemExit) as caught:
        prepare.main(["imagenet", "--data_dir", str(tmp_path)])
    assert caught.value.code == 2
    assert "imagenet needs --source" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cub", "digits"])
def test_a_box_list_that_nothing_would_read_is_refused(name, tmp_path, capsys):
    message = fails(capsys, name, tmp_path, tmp_path / "data", "--boxes", "val=list.txt")
    assert message == f"error: --boxes: {name} brings its own; expected it with folder or imagenet alone"


def test_a_second_time_with_other_options_is_refused(tmp_path, capsys):
    """What is there was prepared from something else: nothing of it passes for what is asked for."""
    source, _ = cub_source("folder", tmp_path / "downloads")
    other, _ = cub_source("folder", tmp_path / "elsewhere")
    published.unpack(tmp_path / "CUBV2", {"a/1.jpg": published.encode(1)})
    lists = {"class_labels.txt": b"a/1.jpg,0\n", "localization.txt": b"a/1.jpg,1,2,3,4\n"}
    published.unpack(tmp_path / "lists", lists)
    heldout = ("--heldout", str(tmp_path / "CUBV2"), str(tmp_path / "lists"))
    command = ("cub", source, tmp_path / "data")
    run(*command, "--partial", "--no_decode")
    said = capsys.readouterr().err
    assert "cub: train has 6 of 5,994 images (--partial)" in said
    notes = datasets.open_split("cub", "train", data_dir=tmp_path / "data").notes
    assert "cub: train has 6 of 5,994 images (--partial)" in notes
    run(*command, "--partial", "--no_decode")  # the same again
    for refused, message in (
        ((*command, "--no_decode"), "cub is prepared in .* with --partial: train has 6 of 5,994 images"),
        (
            (*command, "--partial", "--no_decode", *heldout),
            "--heldout: cub in .* was prepared with none, now",
        ),
        (
            (*command, "--partial"),
            "--no_decode: cub in .* was prepared with headers alone checked, now asked",
        ),
        (
            ("cub", other, tmp_path / "data", "--partial", "--no_decode"),
            "--source: cub in .* was prepared with",
        ),
    ):
        line = fails(capsys, *refused)
        assert re.search(message, line)
        assert "--overwrite builds it again" in line
    run(*command, "--partial", "--overwrite", *heldout)
    assert len(datasets.open_split("cub", "heldout", data_dir=tmp_path / "data")) == 1


@pytest.mark.parametrize("option", ["--partial", "--no_decode", "--exif=stored", "--segmentations=x"])
def test_options_that_a_data_set_would_ignore_are_refused(option, tmp_path, capsys):
    name = "cub" if "exif" in option else "digits" if "decode" in option else "folder"
    arguments = [name, "--data_dir", str(tmp_path), option] + ["--source", "x"] * (name != "digits")
    with pytest.raises(SystemExit):
        prepare.main(arguments)
    assert f"error: {option.partition('=')[0]}: {name} does not take it" in capsys.readouterr().err


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
