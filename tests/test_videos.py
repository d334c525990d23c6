"""Videos by their frames: one line per frame, and what cannot be read is told."""

import json

import cv2
import numpy as np
import pytest
from test_predict import checkpoint, predict, write_image  # noqa: F401

from lctr_jax.inference.prediction_inputs import PredictionInputs
from lctr_jax.inference.videos import read_frames

FPS = 10


@pytest.fixture
def video(tmp_path):
    """25 frames of 64 x 48, each of its own gray."""
    path = tmp_path / "videos" / "cat" / "clip.avi"
    path.parent.mkdir(parents=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no MJPG")
    for index in range(25):
        writer.write(np.full((48, 64, 3), 10 * index, np.uint8))
    writer.release()
    return path


def test_frames_have_their_number_their_time_and_their_pixels(video, tmp_path):
    frames = list(read_frames(video, tmp_path / "frames", every=10))
    assert [frame.index for frame in frames] == [0, 10, 20]
    assert [frame.path.name for frame in frames] == ["000000.jpg", "000010.jpg", "000020.jpg"]
    np.testing.assert_allclose([frame.seconds for frame in frames], [0, 1, 2], atol=0.11)
    for frame in frames:
        pixels = cv2.imread(str(frame.path))
        assert pixels is not None
        assert pixels.shape == (48, 64, 3)
        assert abs(pixels.mean() - 10 * frame.index) < 4


def test_a_line_per_frame_and_annotations(video, checkpoint, tmp_path, capsys):  # noqa: F811
    options = ("--every", 10, "--classes", "folder", "--threshold", 0.5, "--annotations", "yolo,coco")
    lines = predict(checkpoint, tmp_path / "out", video.parent.parent, *options)
    assert [(line["frame"], line["video"]) for line in lines] == [(n, str(video)) for n in (0, 10, 20)]
    assert [line["file"] for line in lines] == [f"cat/clip.avi/{n:06d}.jpg" for n in (0, 10, 20)]
    np.testing.assert_allclose([line["time"] for line in lines], [0, 1, 2], atol=0.11)
    assert {line["boxes"][0]["name"] for line in lines} == {"cat"}
    assert f"{video}: one of 10 frames, 3 in all (--every)" in capsys.readouterr().err
    coco = json.loads((tmp_path / "out/annotations/coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == [line["file"] for line in lines]
    links = sorted((tmp_path / "out/annotations/yolo/images").rglob("*.jpg"))
    assert len(links) == 3
    assert all(np.asarray(cv2.imread(str(link))).shape == (48, 64, 3) for link in links)


def test_videos_in_folders_are_ignored_aloud_unless_asked_for(video, checkpoint, tmp_path, capsys):  # noqa: F811
    write_image(video.parent / "x.png")
    (line,) = predict(checkpoint, tmp_path / "out", tmp_path / "videos")
    assert line["file"] == "cat/x.png"
    assert f"ignored: 1 video, such as {video}; --every N reads their frames" in capsys.readouterr().err
    assert len(predict(checkpoint, tmp_path / "more", tmp_path / "videos", "--every", 20)) == 3
    (line,) = predict(checkpoint, tmp_path / "named", video)  # one that is named is read
    assert (line["frame"], line["file"]) == (0, "clip.avi/000000.jpg")


def test_a_video_that_cannot_be_read_is_one_line(checkpoint, tmp_path, capfd):  # noqa: F811
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    image = write_image(tmp_path / "x.png")
    (line,) = predict(checkpoint, tmp_path / "out", broken, image, status=1)
    assert line["file"] == "x.png"
    told = capfd.readouterr().err
    assert f"skipped {broken}: not a video that OpenCV can read, or one without frames\n" in told
    assert "moov" not in told  # FFmpeg's own words
    assert "broken.mp4" in (tmp_path / "out" / "index.html").read_text()


def test_every_is_a_number_of_frames(tmp_path):
    with pytest.raises(ValueError, match="--every: got 0, expected 1 or more"):
        PredictionInputs([write_image(tmp_path / "x.png")], out=tmp_path / "out", every=0)
