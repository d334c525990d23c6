"""Frames of a video as image files, through OpenCV."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

_QUALITY = 95  # of the JPEGs

# No messages of FFmpeg about damaged videos: ours say more. OpenCV reads this when it first opens a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@dataclass(frozen=True)
class Frame:
    """A frame of a video: its file, its number from 0, and its time in seconds."""

    path: Path
    index: int
    seconds: float


def count_frames(video: Path, *, every: int) -> int:
    """Return the number of frames that `read_frames` yields, by the video's header; 0 if it is unreadable."""
    capture = _open(video)
    try:
        return max(0, -(-int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) // every))
    finally:
        capture.release()


def read_frames(video: Path, folder: Path, *, every: int) -> Iterator[Frame]:
    """Write every `every`-th frame to FOLDER/NUMBER.jpg, and yield each once it is written.

    Raises:
        OSError: a frame cannot be written.
        ValueError: OpenCV cannot read the file as a video.
    """
    capture = _open(video)
    try:
        if not capture.isOpened() or not capture.grab():
            raise ValueError(f"{video}: not a video that OpenCV can read, or one without frames")
        folder.mkdir(parents=True, exist_ok=True)
        index = 0
        while True:
            if index % every == 0:
                seconds = max(0.0, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
                read, pixels = capture.retrieve()
                if not read:
                    raise ValueError(f"{video}: frame {index} cannot be decoded")
                yield Frame(_write(pixels, folder / f"{index:06d}.jpg"), index, seconds)
            if not capture.grab():
                return
            index += 1
    finally:
        capture.release()


def _open(video: Path) -> cv2.VideoCapture:
    return cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)


def _write(pixels: cv2.typing.MatLike, path: Path) -> Path:
    if not path.exists():
        _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        unfinished = path.with_suffix(".tmp")
        unfinished.write_bytes(encoded.tobytes())
        os.replace(unfinished, path)
    return path
