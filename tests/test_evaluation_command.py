"""`config.eval` through train.py: protocols, stated variants, and what is written where."""

import functools
import json
import sys
from pathlib import Path

import pytest
from evaluation_run import evaluate, make_mesh, run_processes
from small_run import ROOT, SMALL, draw_folder

from lctr_jax.train import main

IN_ONE_OF_TWO_PROCESSES = """
import sys
import jax
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))
del sys.argv[1:3]
from lctr_jax.train import main
main()
jax.distributed.shutdown()
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workdir after one epoch on a small folder, and the arguments that gave it."""
    base = tmp_path_factory.mktemp("command")
    draw_folder(base / "pictures")
    arguments = [
        f"--config={ROOT / 'configs/folder.py'}",
        f"--config.data.root={base / 'pictures'}",
        f"--config.data.data_dir={base / 'data'}",
        *SMALL,
        "--config.train.epochs=1",
        "--config.eval.batch_size=2",
    ]
    command([*arguments, f"--workdir={base / 'run'}"])
    return base / "run", arguments


def command(arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", *arguments])
        main()


def test_wsoleval_by_the_command_line(trained, tmp_path):
    run, arguments = trained
    wsoleval = [
        "--config.eval.protocol=wsoleval",
        "--config.eval.threshold_split=train",
        "--config.eval.first_box_only=True",
    ]
    command([*arguments, *wsoleval, "--eval", f"--checkpoint={run}", f"--workdir={tmp_path}"])
    metrics = json.loads((tmp_path / "eval/metrics.json").read_text())
    assert metrics["protocol"] == "wsoleval"
    assert metrics["map_class"] == "label"
    assert metrics["first_box_only"] is True
    assert metrics["threshold_source"] == "held-out (train)"
    assert metrics["box_acc"] <= metrics["max_box_acc"]
    # Under wsoleval, the run's GT-known Loc equals MaxBoxAcc: the same value computed in two ways.
    assert metrics["oracle_gt_known_loc"] == metrics["max_box_acc"]
    page = (tmp_path / "eval/report.html").read_text()
    assert "wsoleval" in page
    assert "MaxBoxAccV2" in page


@functools.cache
def fixed(folder: Path, **options):
    return evaluate(folder, make_mesh(2), threshold_split="", threshold=0.3, **options)


@pytest.mark.parametrize(
    ("protocol", "own", "other"), [("lctr", "predicted", "label"), ("wsoleval", "label", "predicted")]
)
def test_whose_map_is_boxed_is_an_option_and_is_said(tmp_path, protocol, own, other):
    default, stated, changed = (
        fixed(tmp_path / (name or "own"), protocol=protocol, map_class=name) for name in ("", own, other)
    )
    assert default == stated
    assert (default["map_class"], changed["map_class"]) == (own, other)
    assert changed["gt_known_loc"] != default["gt_known_loc"]
    by_label = changed if other == "label" else default
    assert by_label["gt_known_loc"] == default["label_gt_known_loc"] == changed["label_gt_known_loc"]


def test_pxap_comes_with_masks(tmp_path):
    assert 0 < fixed(tmp_path / "masks", protocol="wsoleval")["pxap"] < 100


def test_the_method_of_a_checkpoint_with_another_head_is_taken_and_said(trained, tmp_path, capsys):
    run, arguments = trained
    own, other = (
        (tmp_path / method, [*arguments, f"--config.model.method={method}", f"--workdir={tmp_path / method}"])
        for method in ("lctr", "tscam")
    )
    said = []
    for _, asked in (own, other):
        command([*asked, "--eval", f"--checkpoint={run}"])
        said.append(capsys.readouterr().err)
    line = "model.method: using the checkpoint's, lctr, instead of tscam"
    assert [line in each for each in said] == [False, True]
    first, second = ((folder / "eval/predictions.jsonl").read_text() for folder, _ in (own, other))
    assert first == second


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("map_class=true", "eval.map_class: got 'true'"),
        ("protocol=wsol", "protocol: got 'wsol'"),
        ("batch_size=0", "eval.batch_size: got 0"),
    ],
)
def test_an_impossible_option_is_one_line(trained, capsys, option, message):
    run, arguments = trained
    with pytest.raises(SystemExit):
        command([*arguments, f"--config.eval.{option}", "--eval", f"--checkpoint={run}"])
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message in error


@pytest.mark.slow
def test_two_processes_write_one_set_of_results(trained, tmp_path):
    run, arguments = trained
    evaluation = ["--eval", f"--checkpoint={run}", f"--workdir={tmp_path}"]
    run_processes(["-c", IN_ONE_OF_TWO_PROCESSES], [*arguments, *evaluation])
    written = {path.name for path in (tmp_path / "eval").iterdir()}
    assert written == {path.name for path in (run / "eval").iterdir()}
    for name in ("metrics.json", "predictions.jsonl", "per_class.csv", "curves.csv"):
        assert (tmp_path / "eval" / name).read_text() == (run / "eval" / name).read_text(), name
    assert "4 x cpu" in (tmp_path / "eval/report.html").read_text()


def test_without_boxes_the_report_says_so(trained, tmp_path):
    run, arguments = trained
    pictures = tmp_path / "pictures"
    draw_folder(pictures)
    for file in (pictures / "list").iterdir():
        file.unlink()
    bare = [f"--config.data.root={pictures}", f"--config.data.data_dir={tmp_path / 'data'}"]
    command([*arguments, *bare, "--eval", f"--checkpoint={run}", f"--workdir={tmp_path}"])
    assert "no true boxes" in (tmp_path / "eval/report.html").read_text()
    assert (tmp_path / "eval/per_class.csv").is_file()
    assert not (tmp_path / "eval/curves.csv").exists()
