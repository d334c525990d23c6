"""List the files of a folder, a tar or a zip archive as byte ranges; a tar archive is not unpacked."""

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from lctr_jax.data.foreign_files import is_foreign
from lctr_jax.data.records import ByteRange

_DAMAGE = (
    tarfile.TarError,
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    ValueError,
    OverflowError,
)
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


def list_files(source: Path, *, scratch: Path) -> dict[str, ByteRange]:
    """Return the byte range of every regular file in a folder or archive, by its relative path.

    A tar archive inside a tar archive counts as a folder of its name, e.g. ILSVRC's `n01440764.tar`. A hard
    link, which is how tar stores a second name of a file, resolves to that file; symbolic links are ignored.
    A compressed archive is decompressed once into `scratch`, as a single file that is then read by offset. A
    zip archive, whose members are compressed one by one, is unpacked there.

    Raises:
        FileNotFoundError: there is no such source.
        ValueError: it is neither a folder nor a tar or zip archive, or the archive is damaged.
        OSError: it cannot be read, or there is not enough space to decompress it.
    """
    if source.is_dir():
        return dict(_walk(source))
    if not source.exists():
        raise FileNotFoundError(f"no such folder or archive: {source}")
    if zipfile.is_zipfile(source):
        return dict(_walk(_unpacked(source, scratch)))
    try:
        archive = _decompressed(source, scratch)
        with tarfile.open(archive, "r:") as tar:
            return dict(_members(tar, archive, base=0))
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile) or error.errno is None:  # errors from decoders have no errno
            raise _damaged(source, error) from error
        raise
    except _DAMAGE as error:
        raise _damaged(source, error) from error


def find_files(source: Path, names: Iterable[str], *, scratch: Path) -> dict[str, ByteRange]:
    """Return the byte ranges of those of the named files that are there.

    A folder is not listed, as it may contain many more files. Arguments and errors are those of `list_files`.
    """
    if source.is_dir():
        paths = {name: source / name for name in names}
        return {name: ByteRange.of_file(path) for name, path in paths.items() if path.is_file()}
    listed = list_files(source, scratch=scratch)
    return {name: listed[name] for name in names if name in listed}


def _damaged(source: Path, error: Exception) -> ValueError:
    return ValueError(f"{source}: expected a folder or an undamaged archive, tar or zip: {error}")


def _unpacked(source: Path, scratch: Path) -> Path:
    """Return the folder of a zip archive's files, unpacked once per version of the archive."""
    status = source.stat()
    folder = scratch / f"{source.name}-{status.st_size:x}-{status.st_mtime_ns:x}"
    if not folder.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch) as unfinished:
            try:
                with zipfile.ZipFile(source) as archive:
                    archive.extractall(unfinished)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                raise _damaged(source, error) from error
            Path(unfinished).rename(folder)
            Path(unfinished).mkdir()  # for its removal
    return folder


def _walk(folder: Path) -> Iterator[tuple[str, ByteRange]]:
    seen = set()  # links to folders may form cycles
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_foreign(name))
        for name in sorted(names):
            path = Path(parent, name)
            if not is_foreign(name) and path.is_file():
                yield path.relative_to(folder).as_posix(), ByteRange.of_file(path)


def _raise(error: OSError) -> NoReturn:
    """Raise the error of a folder that cannot be listed, which `os.walk` ignores by default."""
    raise error


def _members(tar: tarfile.TarFile, archive: Path, *, base: int) -> Iterator[tuple[str, ByteRange]]:
    """Yield the regular members of a plain tar archive that starts at `base` in the file `archive`."""
    modified = archive.stat().st_mtime_ns
    places: dict[str, ByteRange] = {}
    for member in tar:
        name, start = member.name.removeprefix("./"), base + member.offset_data
        if member.issparse():
            raise ValueError(f"{name} is stored with holes; pack it again without tar's option --sparse")
        if member.islnk():
            target = member.linkname.removeprefix("./")
            if target not in places:
                raise ValueError(f"{name} is a link to {target}, which is not in the archive before it")
            places[name] = places[target]
        elif not member.isreg():
            continue
        elif name.endswith(".tar"):
            with tarfile.open(fileobj=tar.extractfile(member), mode="r:") as inner:
                for inner_name, place in _members(inner, archive, base=start):
                    yield f"{name.removesuffix('.tar')}/{inner_name}", place
            continue
        else:
            places[name] = ByteRange(str(archive), start, member.size, modified)
        yield name, places[name]


def _decompressed(source: Path, scratch: Path) -> Path:
    """Return the plain tar archive of a compressed one, decompressed once per version of the file."""
    with source.open("rb") as file:
        start = file.read(8)
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    if opener is None:
        return source
    status = source.stat()
    plain = scratch / f"{source.name}-{status.st_size:x}-{status.st_mtime_ns:x}.tar"
    if not plain.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        unfinished = plain.with_suffix(f".{os.getpid()}.unfinished")
        try:
            with opener(source, "rb") as packed, unfinished.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
            os.utime(
                unfinished, ns=(status.st_mtime_ns, status.st_mtime_ns)
            )  # digests of items stay the same
            unfinished.replace(plain)
        finally:
            unfinished.unlink(missing_ok=True)
    return plain
