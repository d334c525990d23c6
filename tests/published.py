"""Small datasets in the official formats: CUB-200-2011's and ILSVRC2012's archives, wsoleval's lists."""

import io
import tarfile
import zipfile
from typing import Any

import numpy as np
from PIL import Image

BIRDS = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")
WNIDS = ("n01440764", "n01443537", "n02124075")


def encode(seed, *, size=(48, 36), kind="JPEG", mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def segmentation(seed, size=(48, 36)):
    """Gray by the share of five annotators, as published."""
    levels = np.random.default_rng(seed).integers(0, 6, (size[1], size[0])) * 51
    buffer = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def cub_files(images_per_class=4):
    """Every file of a small CUB_200_2011 and its segmentations, by path, and the facts that they contain."""
    facts, files, masks = [], {}, {}
    for label, bird in enumerate(BIRDS):
        for index in range(images_per_class):
            number = len(facts) + 1
            name = f"{bird}/{bird[4:]}_{index:04d}_{number}.jpg"
            box = (float(number), 2.0, 20.0 + index, 30.0)
            facts.append((number, name, label, index % 2, box))
            files[f"CUB_200_2011/images/{name}"] = encode(number)
            masks[f"segmentations/{name.replace('.jpg', '.png')}"] = segmentation(number)
    lists = {
        "images": [f"{number} {name}" for number, name, *_ in facts],
        "image_class_labels": [f"{number} {label + 1}" for number, _, label, *_ in facts],
        "train_test_split": [f"{number} {train}" for number, _, _, train, _ in facts],
        "bounding_boxes": [f"{number} " + " ".join(map(str, box)) for number, *_, box in facts],
        "classes": [f"{label + 1} {bird}" for label, bird in enumerate(BIRDS)],
    }
    for name, lines in lists.items():
        files[f"CUB_200_2011/{name}.txt"] = "\n".join(lines).encode() + b"\n"
    files["CUB_200_2011/README"] = b"read me"
    files["attributes.txt"] = b"1 has_bill_shape::curved"
    return files, masks, facts


def pack(path, files, mode: Any = "w"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def pack_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpack(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def ilsvrc_xml(name, wnid, boxes, size=(48, 36)):
    sides = ("xmin", "ymin", "xmax", "ymax")
    objects = "".join(
        f"<object><name>{wnid}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        f"<bndbox>{''.join(f'<{s}>{v}</{s}>' for s, v in zip(sides, box, strict=True))}</bndbox></object>"
        for box in boxes
    )
    return (
        f"<annotation>\n\t<folder>val</folder><filename>{name}</filename>"
        f"<source><database>ILSVRC_2012</database></source>"
        f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
        f"<segmented>0</segmented>{objects}</annotation>\n"
    ).encode()


def tiny_imagenet_files():
    """Every file of a small tiny-imagenet-200.zip, by path, and the facts of its labeled images by split."""
    facts, files, lists = {"train": {}, "val": {}}, {}, {}
    for label, wnid in enumerate(WNIDS):
        for index in range(3):
            name, box = f"{wnid}_{index}.JPEG", (index, 4 * label, 63, 60 + index)
            content = encode(10 * label + index, size=(64, 64), mode="L" if index == 2 else "RGB")
            files[f"tiny-imagenet-200/train/{wnid}/images/{name}"] = content
            facts["train"][f"{wnid}/{name}"] = (label, box, content)
            lists.setdefault(f"train/{wnid}/{wnid}_boxes.txt", []).append((name, *box))
    for index in range(4):
        name, label, box = f"val_{index}.JPEG", index % 2 + 1, (1, 2 + index, 40, 50)
        facts["val"][name] = (label, box, encode(50 + index, size=(64, 64)))
        files[f"tiny-imagenet-200/val/images/{name}"] = facts["val"][name][2]
        lists.setdefault("val/val_annotations.txt", []).append((name, WNIDS[label], *box))
    files["tiny-imagenet-200/test/images/test_0.JPEG"] = encode(99, size=(64, 64))
    lists["wnids.txt"] = [(wnid,) for wnid in WNIDS]
    lists["words.txt"] = [
        *(("n00001740", "entity"), (WNIDS[2], "crane, a bird"), (WNIDS[0], "tench, Tinca tinca")),
        (WNIDS[1], "crane"),
    ]
    for name, rows in lists.items():
        lines = ["\t".join(map(str, row)) for row in rows]
        files[f"tiny-imagenet-200/{name}"] = "\n".join(lines).encode() + b"\n"
    return files, facts


def ilsvrc_facts():
    """Training images and validation images of a small ILSVRC2012; every third image has two boxes."""
    train = {f"{wnid}/{wnid}_{index}.JPEG": encode(index) for wnid in WNIDS for index in range(3)}
    val = []
    for number in range(1, 7):
        boxes = [(number, 1, 30, 20 + number)] + ([(0, 0, 9, 8)] if number % 3 == 0 else [])
        val.append((f"ILSVRC2012_val_{number:08d}", (number * 2) % 3, boxes, encode(100 + number)))
    return train, val


def ilsvrc_box_list(form, path, val):
    """Write the validation boxes in one of the published formats; return what `--boxes val=` is given."""
    match form:
        case "xml":
            files = {
                f"val/{name}.xml": ilsvrc_xml(name, WNIDS[label], boxes) for name, label, boxes, _ in val
            }
            return pack(path / "ILSVRC2012_bbox_val_v3.tgz", files, "w:gz")
        case "kaggle":
            lines = ["ImageId,PredictionString"]
            for name, label, boxes, _ in val:
                words = [f"{WNIDS[label]} {' '.join(map(str, box))}" for box in boxes]
                lines.append(f"{name},{' '.join(words)} ")
            files = {"LOC_val_solution.csv": lines}
        case "lctr":
            lines = [
                f"{WNIDS[label]}/{name}.JPEG {label} " + " ".join(str(v) for box in boxes for v in box)
                for name, label, boxes, _ in val
            ]
            files = {"list/val_boxes.txt": lines}
        case "wsoleval":
            lines = [
                ",".join(map(str, (f"val/{name}.JPEG", *box))) for name, _, boxes, _ in val for box in boxes
            ]
            labels = [f"val/{name}.JPEG,{label}" for name, label, _, _ in val]
            files = {
                "metadata/ILSVRC/test/localization.txt": lines,
                "metadata/ILSVRC/test/class_labels.txt": labels,
            }
        case _:
            raise ValueError(form)
    unpack(path, {name: "\n".join(lines).encode() + b"\n" for name, lines in files.items()})
    first = path / next(iter(files))
    return first.parent if form == "wsoleval" else first


def wsoleval_lists(images):
    """Lists of one split by file name, for images with label and boxes."""
    lists = {
        "image_ids.txt": images,
        "class_labels.txt": [f"{name},{label}" for name, (label, _) in images.items()],
        "localization.txt": [
            ",".join(map(str, (name, *box))) for name, (_, boxes) in images.items() for box in boxes
        ],
    }
    return {name: "\n".join(lines).encode() + b"\n" for name, lines in lists.items()}


def wsoleval_cub(folder):
    """Write a small wsoleval `dataset/CUB`, with CUBV2 among its images, and `metadata/CUB`."""
    files, masks, facts = cub_files()
    images = {name.split("/images/")[1]: image for name, image in files.items() if "/images/" in name}
    second = {f"{bird}/{label}123.jpg": label for label, bird in enumerate(BIRDS)}
    unpack(folder / "dataset/CUB", images | {name: encode(label) for name, label in second.items()})
    splits = {
        split: {name: (label, [box]) for _, name, label, in_train, box in facts if in_train == train}
        for split, train in (("train", 1), ("test", 0))
    }
    splits["val"] = {name: (label, [(1, 2, 10 + label, 20)]) for name, label in second.items()}
    for split, listed in splits.items():
        unpack(folder / "metadata/CUB" / split, wsoleval_lists(listed))
    return folder / "dataset/CUB", folder / "metadata/CUB", splits, masks


MIDS = ("01226z", "0bt_c3")


def openimages(folder):
    """Write a small wsoleval `dataset/OpenImages` and `metadata/OpenImages`.

    The masks of an image have one size, which is not the image's, or several sizes; they are stored with one
    bit, as gray levels, with a palette and in color.
    """
    images, masks, files, rng = {}, {}, {}, np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 2), ("test", 3)):
        for label, mid in enumerate(MIDS):
            for index in range(count):
                name = f"{split}/{mid}/{index}{split}.jpg"
                images[name] = label, encode(len(images), size=(40 + 7 * index, 53 - 9 * label))
                masks[name] = [], ""
                if split == "train":
                    continue
                stem, instances = name.removesuffix(".jpg"), []
                for instance in range(1 + index):
                    size = (61, 47) if label else (31 + 13 * instance, 40 - 5 * instance)
                    instances.append(f"{stem}_m{mid}_{instance}.png")
                    files[instances[-1]] = _binary_mask(rng, size, ("1", "L", "P")[(index + instance) % 3])
                ignored = f"{stem}_ignore.png"
                files[ignored] = _binary_mask(rng, (61, 47) if index else (29, 33), "RGB" if index else "1")
                masks[name] = instances, ignored
    lists = {}
    for split in ("train", "val", "test"):
        names = [name for name in images if name.startswith(split)]
        lists[f"{split}/image_ids.txt"] = names
        lists[f"{split}/class_labels.txt"] = [f"{name},{images[name][0]}" for name in names]
        if split != "train":
            lists[f"{split}/localization.txt"] = [
                f"{name},{instance},{'' if place else masks[name][1]}"
                for name in names
                for place, instance in enumerate(masks[name][0])
            ]
    source = unpack(
        folder / "dataset/OpenImages", files | {name: image for name, (_, image) in images.items()}
    )
    metadata = {name: "\n".join(lines).encode() + b"\n" for name, lines in lists.items()}
    facts = {name: (label, image, masks[name]) for name, (label, image) in images.items()}
    return source, unpack(folder / "metadata/OpenImages", metadata), facts


def _binary_mask(rng, size, mode):
    """A rectangle on nothing, in one of the modes of PNG files."""
    pixels = np.zeros((size[1], size[0]), np.uint8)
    x, y = rng.integers(0, size[0] // 2), rng.integers(0, size[1] // 2)
    pixels[y : y + rng.integers(5, 25), x : x + rng.integers(5, 25)] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()
