import pytest

from lctr_jax.errors import one_line_errors


@one_line_errors()
def fail(error):
    raise error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("batch: got 3,\n  expected 4"), "error: batch: got 3, expected 4\n"),
        (
            FileNotFoundError(2, "No such file or directory", "a.pth"),
            "error: a.pth: No such file or directory\n",
        ),
        (FileExistsError("DEST: already exists"), "error: DEST: already exists\n"),
        (ModuleNotFoundError("needs torch"), "error: needs torch\n"),
        (ValueError("got \x1b]0;title\x07 \u202e \udcff"), r"error: got \x1b]0;title\x07 \u202e \udcff" "\n"),
    ],
)
def test_a_mistake_is_one_line_and_exits_2(error, line, capsys):
    with pytest.raises(SystemExit) as exit_:
        fail(error)
    assert exit_.value.code == 2
    assert capsys.readouterr() == ("", line)


def test_a_message_is_bounded_and_keeps_its_ends(capsys):
    with pytest.raises(SystemExit):
        fail(ValueError(f"names.txt: got {'x' * 100_000}, expected a name"))
    line = capsys.readouterr().err
    assert len(line) < 2100
    assert line.startswith("error: names.txt: got xxx")
    assert line.endswith("xxx, expected a name\n")


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(AssertionError):
        fail(AssertionError("a bug"))


def test_the_traceback_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("LCTR_TRACEBACK", "1")
    with pytest.raises(ValueError, match="batch"):
        fail(ValueError("batch"))


def test_a_name_that_is_not_utf8_is_shown(capsys):
    with pytest.raises(SystemExit):
        fail(FileNotFoundError(2, "No such file or directory", "caf\udce9.jpg"))
    assert capsys.readouterr().err == "error: caf\\udce9.jpg: No such file or directory\n"
    with pytest.raises(SystemExit), one_line_errors():
        "train/caf\udce9".encode()
    assert (
        "error: 'train/caf\\udce9': this name or text is not valid UTF-8; rename" in capsys.readouterr().err
    )
    with pytest.raises(SystemExit), one_line_errors():
        (b"long " * 100 + b"caf\xe9 au lait" + b" long" * 100).decode()
    line = capsys.readouterr().err
    assert "caf\\xe9 au lait" in line
    assert len(line) < 250
