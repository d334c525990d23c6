import io
import subprocess
import tarfile
from typing import Any

import published
import pytest

from lctr_jax.data import archives

FILES = {"a.txt": b"alpha", "folder/b.jpg": b"\x00" * 700 + b"beta", "folder/deep/empty": b""}


def pack(path, files, mode: Any = "w"):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def contents(source, scratch):
    return {name: place.read() for name, place in archives.list_files(source, scratch=scratch).items()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_archives_read_as_what_was_packed(tmp_path, mode):
    source = pack(tmp_path / "images.tgz", FILES, mode)
    assert contents(source, tmp_path / "scratch") == FILES
    again = archives.list_files(source, scratch=tmp_path / "scratch")
    assert again == archives.list_files(source, scratch=tmp_path / "scratch")
    assert (tmp_path / "scratch").exists() == (mode != "w")  # a plain archive is read in place


def test_a_zip_archive_is_unpacked_once(tmp_path):
    source = published.pack_zip(tmp_path / "images.zip", FILES)
    assert contents(source, tmp_path / "scratch") == FILES
    again = archives.list_files(source, scratch=tmp_path / "scratch")
    assert again == archives.list_files(source, scratch=tmp_path / "scratch")
    assert len(list((tmp_path / "scratch").iterdir())) == 1


def test_a_damaged_zip_archive(tmp_path):
    source = published.pack_zip(tmp_path / "images.zip", {"a.txt": bytes(range(256)) * 9})
    content = bytearray(source.read_bytes())
    content[40:50] = b"0123456789"
    source.write_bytes(content)
    with pytest.raises(ValueError, match=r"images.zip: expected .*undamaged archive"):
        archives.list_files(source, scratch=tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_folders_read_as_they_are(tmp_path):
    for name, content in FILES.items():
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(content)
    assert contents(tmp_path / "images", tmp_path / "scratch") == FILES


def test_archives_within_an_archive_count_as_folders(tmp_path):
    """ILSVRC2012_img_train.tar contains one archive per class."""
    inner = {
        wnid: pack(tmp_path / f"{wnid}.tar", {f"{wnid}_{i}.JPEG": f"{wnid} {i}".encode() for i in range(3)})
        for wnid in ("n01440764", "n01443537")
    }
    outer = pack(tmp_path / "train.tar", {f"./{path.name}": path.read_bytes() for path in inner.values()})
    expected = {f"{wnid}/{wnid}_{i}.JPEG": f"{wnid} {i}".encode() for wnid in inner for i in range(3)}
    assert contents(outer, tmp_path / "scratch") == expected


def test_links_and_odd_members_are_left_out(tmp_path):
    with tarfile.open(tmp_path / "odd.tar", "w") as tar:
        for kind, name in ((tarfile.SYMTYPE, "link"), (tarfile.DIRTYPE, "dir"), (tarfile.FIFOTYPE, "pipe")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    assert contents(tmp_path / "odd.tar", tmp_path) == {}


def test_faults(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder or archive"):
        archives.list_files(tmp_path / "none.tgz", scratch=tmp_path)
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(ValueError, match="expected a folder or an undamaged archive"):
        archives.list_files(tmp_path / "text", scratch=tmp_path)
    packed = pack(tmp_path / "cut.tgz", FILES, "w:gz").read_bytes()
    (tmp_path / "cut.tgz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match=r"cut\.tgz: expected a folder or an undamaged archive"):
        archives.list_files(tmp_path / "cut.tgz", scratch=tmp_path / "scratch")
    assert not list((tmp_path / "scratch").iterdir())


def test_a_damaged_deflate_stream_is_reported(tmp_path):
    packed = bytearray(pack(tmp_path / "a.tgz", FILES, "w:gz").read_bytes())
    packed[20:40] = b"\xff" * 20
    (tmp_path / "a.tgz").write_bytes(packed)
    with pytest.raises(ValueError, match=r"a\.tgz: expected a folder or an undamaged archive"):
        archives.list_files(tmp_path / "a.tgz", scratch=tmp_path / "scratch")


def write_link(path, target):
    with tarfile.open(path, "a") as tar:
        member = tarfile.TarInfo("second.txt")
        member.type, member.linkname = tarfile.LNKTYPE, target
        tar.addfile(member)
    return path


def test_a_hard_link_is_the_file_that_it_links_to(tmp_path):
    linked = write_link(pack(tmp_path / "a.tar", FILES), "./a.txt")
    assert contents(linked, tmp_path) == FILES | {"second.txt": b"alpha"}


def test_a_dangling_hard_link_is_reported(tmp_path):
    dangling = write_link(pack(tmp_path / "a.tar", FILES), "lost.txt")
    with pytest.raises(
        ValueError, match=r"a\.tar: .*second\.txt is a link to lost\.txt, which is not in the archive"
    ):
        archives.list_files(dangling, scratch=tmp_path)


def test_a_sparse_member_is_reported(tmp_path):
    """A sparse member's bytes in the archive are not the file's."""
    with (tmp_path / "holes.bin").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    subprocess.run(["tar", "--sparse", "-C", tmp_path, "-cf", tmp_path / "a.tar", "holes.bin"], check=True)
    with pytest.raises(ValueError, match=r"holes\.bin is stored with holes"):
        archives.list_files(tmp_path / "a.tar", scratch=tmp_path)
