"""Tables of classes that cannot be read, or that fit the images in no or in several ways."""

import pytest
from animals import images, write

from lctr_jax.data.folder import tree


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"a.csv": "file,label\n1.jpg,a\n", "b.csv": "file,label\n1.jpg,b\n"},
            "several tables of classes, a.csv, b.csv; keep",
        ),
        (
            {"a.csv": "file,label\n1.jpg,a\n1.jpg,b\n"},
            r"a.csv:3: '1.jpg' has the class 'b' here and 'a' before",
        ),
        (
            {"a.csv": "file,label,class\n1.jpg,a,x\n2.jpg,a,y\n"},
            r"columns 'class' and 'label' both may have the classes",
        ),
        (
            {"a.csv": "file,label\n7.jpg,a\n"},
            r"lists none of the images; its column 'file' has 7.jpg, .* has 1.jpg, 2.jpg",
        ),
        ({"a.csv": "file,label\n,a\n"}, "a.csv:2: 'file' is empty"),
        ({"a.csv": "file,label\n../1.jpg,a\n"}, r"a.csv:2: '../1.jpg' leaves the image folder"),
        ({"a.csv": "file,label,x,y,w,h\n1.jpg,a,1,2,3,u\n"}, "a.csv:2: expected numbers"),
        ({"a.csv": "file,label,label\n1.jpg,a,b\n"}, "its header has the column 'label' twice"),
        ({"val.csv": "file,label\n1.jpg,a\n"}, "val.csv lists images of val, but none of train"),
        (
            {"train.csv": "file,label\n1.jpg,a\n", "val.csv": "file,label\n2.jpg,b\n"},
            "class 'b' of val has no image in train",
        ),
        (
            {"train.csv": "file,label\n1.jpg,a\n", "val.csv": "file,label\n1.jpg,a\n"},
            "1.jpg is in val and in train",
        ),
        (
            {"a.csv": "name,age\n1.jpg,3\n2.jpg,4\n"},
            "column 'age' has 2 different values in 2 rows, which are not classes",
        ),
        (
            {"a.csv": "size,age\n1,3\n"},
            "lists images and classes; got no folders; not read: a.csv with the columns size, age",
        ),
        ({"metadata.jsonl": "{}\n{"}, "metadata.jsonl:2: not a line of JSON"),
        ({"metadata.jsonl": "[]\n"}, "metadata.jsonl:1: expected a JSON object"),
        (
            {"metadata.jsonl": '{"file_name": "1.jpg", "label": ["a"]}'},
            r"'label' is \[.a.\], expected one text or number",
        ),
        (
            {"metadata.jsonl": '{"file_name": "1.jpg", "objects": {"bbox": [[1, 2, 3]]}}'},
            "expected `bbox` with x, y, width",
        ),
        (
            {"metadata.jsonl": '{"file_name": "1.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "category": []}}'},
            "1 `bbox` and 0 'category'; expected one for each",
        ),
        ({"metadata.csv": 'file_name,label,objects\n1.jpg,a,"{"\n'}, "'objects' is not JSON"),
        (
            {
                "metadata.csv": 'file_name,objects\n1.jpg,"[{""bbox"":[1,2,3,4],""label"":""a""},'
                '{""bbox"":[1,2,3,4],""label"":""b""}]"\n'
            },
            "'1.jpg' has objects of several classes, a, b; expected a column `label`",
        ),
        (
            {"metadata.csv": "file_name,label\n1.jpg,a\n", "metadata.jsonl": "{}"},
            r"has metadata.csv and metadata.jsonl; keep one",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path, tables, message):
    root = write(tmp_path, images("1.jpg", "2.jpg") | tables)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        tree.read_folder(root, {})
    assert "\n" not in str(caught.value)
