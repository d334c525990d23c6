"""Archives of images and of box annotations: tar files, compressed or not, nested or not."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.damage import damaged
from lctr_jax.data.archives import list_files

XML = b"""<annotation><filename>n1_2</filename><object><name>n1</name><bndbox><xmin>1</xmin><ymin>2</ymin>
<xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>"""
COMPRESSORS = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
TYPES = (
    tarfile.REGTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
    tarfile.GNUTYPE_SPARSE,
)


def pack(members: Sequence[tuple[str, bytes, bytes, str]]) -> bytes:
    """Build a tar archive of (name, content, type, link target)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


SOUND = pack(
    [("n1/n1_2.xml", XML, tarfile.REGTYPE, ""), ("n1/n1_3.xml", XML.replace(b"n1_2", b"n1_3"), b"0", "")]
)
NESTED = pack([("n1.tar", SOUND, tarfile.REGTYPE, "")])
_NAMES = st.sampled_from(
    [
        "n1/n1_2.xml",
        "../x.xml",
        "/etc/x.xml",
        "a.tar",
        "./b.xml",
        "x" * 300 + ".xml",
        "\udcff.xml",
        "a\nb.xml",
        "",
        ".",
    ]
)
_MEMBERS = st.lists(
    st.tuples(_NAMES, st.sampled_from([XML, b"", SOUND, b"text"]), st.sampled_from(TYPES), _NAMES), max_size=4
).map(pack)
_PLAIN = st.sampled_from([SOUND, NESTED]) | _MEMBERS | damaged(SOUND) | damaged(NESTED)
_COMPRESSED = st.tuples(_PLAIN, st.sampled_from(sorted(COMPRESSORS))).map(
    lambda made: COMPRESSORS[made[1]](made[0])
)
_DAMAGED = st.one_of([damaged(compress(NESTED)) for compress in COMPRESSORS.values()])
ARCHIVES = _COMPRESSED | _DAMAGED


def _list(folder: Path, content: bytes) -> None:
    path = folder / "images.tar"
    path.write_bytes(content)
    for scratch in (folder / "scratch").glob("*"):
        scratch.unlink()
    for place in list_files(path, scratch=folder / "scratch").values():
        place.read()


CASES = (Case("archives", "images", ARCHIVES, _list),)
