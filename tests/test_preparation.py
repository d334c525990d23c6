"""Preparing a published data set: resumed, in parallel, again, and with which options."""

import re

import published
import pytest
from test_published_datasets import cub_source, fails, run

from lctr_jax import prepare
from lctr_jax.data import datasets, shards


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
