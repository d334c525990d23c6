"""The inputs of a prediction: images, and frames of videos, from files and folders."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lctr_jax.data.image_formats import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from lctr_jax.data.notes import some
from lctr_jax.errors import one_line
from lctr_jax.inference.image_search import check_arguments, common_folder, find_images, relative_name
from lctr_jax.inference.videos import Frame, count_frames, read_frames

FRAMES = "frames"
"""Folder below the output folder for frames of videos."""

_ABOUT_A_SECOND = 30  # frames


@dataclass(frozen=True)
class Input:
    """An image file to localize in.

    Attributes:
        path: the image file.
        file: its path relative to the searched folder, with forward slashes; for a frame, the path of its
            video followed by the name of the frame's file.
        origin: the user's file: the image itself, or the video of a frame.
        frame: the frame, for a video.
    """

    path: Path
    file: str
    origin: Path
    frame: Frame | None = None


class PredictionInputs:
    """The inputs given by arguments of the command line.

    Every `every`-th frame of a video is used, by default every 30th. Videos in folders are ignored unless
    `every` is given.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a folder has no images, is `out` itself, or `every` is less than 1.
    """

    def __init__(self, arguments: Sequence[Path], *, out: Path, every: int | None):
        if every is not None and every < 1:
            raise ValueError(f"--every: got {every}, expected 1 or more")
        self._arguments, self._out, self._every = arguments, out, every or _ABOUT_A_SECOND
        self._in_folders = IMAGE_SUFFIXES | VIDEO_SUFFIXES if every else IMAGE_SUFFIXES
        check_arguments(arguments, out=out, suffixes=self._in_folders)
        self.count, ignored = 0, []
        for path in find_images(arguments, out=out, suffixes=IMAGE_SUFFIXES | VIDEO_SUFFIXES):
            if not _is_video(path):
                self.count += 1
            elif every or path in arguments:
                frames = count_frames(path, every=self._every)
                self.count += frames
                print(f"{path}: one of {self._every} frames, {frames:,} in all (--every)", file=sys.stderr)
            else:
                ignored.append(path)
        if ignored:
            videos = some(len(ignored), "video")
            print(f"ignored: {videos}, such as {ignored[0]}; --every N reads their frames", file=sys.stderr)

    def find(self, unreadable: dict[str, str]) -> Iterator[Input]:
        """Yield inputs one at a time; unreadable videos are skipped, reported, and added to `unreadable`."""
        folder = common_folder(self._arguments)
        for path in find_images(self._arguments, out=self._out, suffixes=self._in_folders):
            file = relative_name(path, folder)
            if not _is_video(path):
                yield Input(path, file, path)
                continue
            try:
                for frame in read_frames(path, self._out / FRAMES / file, every=self._every):
                    yield Input(frame.path, f"{file}/{frame.path.name}", path, frame)
            except ValueError as error:
                unreadable[str(path)] = one_line(error)
                print(f"skipped {one_line(error)}", file=sys.stderr)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES
