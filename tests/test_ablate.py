"""The ablation command: what it trains, what it reuses, how it resumes, and its table."""

import json
import sys
from pathlib import Path

import pytest
from evaluation_run import run_processes
from jax.experimental import multihost_utils
from small_run import ROOT, SMALL, draw_folder

from lctr_jax import ablate
from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.distributed.preemption import Interruption
from lctr_jax.run import ablation
from lctr_jax.run.ablation_table import markdown_table
from lctr_jax.run.config import default_config, parse_config
from lctr_jax.run.seed_summary import summarize_runs

IN_ONE_OF_TWO_PROCESSES = """
import sys
address, process = sys.argv[1:3]
sys.argv[1:3] = [f"--coordinator={address}", "--num_processes=2", f"--process_id={process}"]
from lctr_jax.ablate import main
main()
"""

pytestmark = pytest.mark.usefixtures("quick_compilation")

METRICS = {"protocol": "lctr", "split": "test", "num_images": 10, "threshold_source": "held-out (val)"}


def summary(*gt_known_loc, **metrics):
    runs = {str(seed): METRICS | {"gt_known_loc": value} | metrics for seed, value in enumerate(gt_known_loc)}
    return summarize_runs(runs)


def test_a_row_a_method_with_mean_and_deviation():
    baselines = {"full_image": {"gt_known_loc": 1.0}, "untrained": {"gt_known_loc": 8.0}}
    lines = markdown_table(
        {"lctr": summary(60.0, 62.0, 67.0, baselines=baselines), "cam": summary(50.0, baselines=baselines)}
    ).splitlines()
    assert lines == [
        "| method | GT-known Loc | GT-known Loc at random weights |",
        "| --- | --- | --- |",
        "| `lctr` | 63.0 ± 3.6 | 8.0 ± 0.0 |",
        "| `cam` | 50.0 | 8.0 |",
        "",
        "Percent, mean ± standard deviation of 3 seeds; protocol lctr, split test, images 10, "
        "threshold held-out (val). GT-known Loc of content-free baselines: full image 1.0.",
    ]


def test_each_head_is_trained_once_a_seed():
    config = parse_config(default_config())
    runs = ablate.plan_runs(Path("out"), config, methods=ablate.default_methods(), seeds=2)
    assert [(str(run.workdir), run.trained_in and str(run.trained_in)) for run in runs[:6]] == [
        ("out/lctr/0", None),
        ("out/lctr_without_rpam/0", "out/lctr/0"),
        ("out/lctr_without_cdm/0", None),
        ("out/tscam/0", "out/lctr_without_cdm/0"),
        ("out/rollout/0", None),
        ("out/cam/0", None),
    ]
    assert [run.config.seed for run in runs] == [0] * 6 + [1] * 6
    assert [run.config.model["method"] for run in runs] == [*ablate.default_methods()] * 2
    assert runs[7].trained_in == Path("out/lctr/1")


@pytest.fixture
def options(tmp_path):
    draw_folder(tmp_path / "pictures")
    command = ["--config", str(ROOT / "configs/folder.py"), f"--workdir={tmp_path / 'out'}"]
    data = [f"--config.data.root={tmp_path / 'pictures'}", f"--config.data.data_dir={tmp_path / 'data'}"]
    return [*command, *data, *SMALL, "--config.train.epochs=1", "--config.eval.untrained_baseline=false"]


@pytest.fixture
def run(monkeypatch, tmp_path, options):
    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["ablate", *options, *arguments])
        ablate.main()
        return tmp_path / "out"

    return run_command


def test_runs_writes_the_table_and_resumes(run, options, capsys):
    asked = ["--methods=tscam,lctr_without_cdm", "--seeds=1"]
    out = run(*asked)
    assert "2 of 2 runs done now" in capsys.readouterr().err
    written = json.loads((out / "ablation.json").read_text())
    for method in ("tscam", "lctr_without_cdm"):
        metrics = json.loads((out / method / "0/eval/metrics.json").read_text())
        assert written["methods"][method]["metrics"]["gt_known_loc"]["mean"] == metrics["gt_known_loc"]
        assert json.loads((out / method / "0/config.json").read_text())["model"]["method"] == method
    assert (out / "tscam/0/checkpoints").is_dir()
    assert not (out / "lctr_without_cdm/0/checkpoints").exists()  # the other's checkpoint, by other maps
    classes = [written["methods"][method]["metrics"]["top1_cls"] for method in written["methods"]]
    assert classes[0] == classes[1]
    assert (out / "ablation.md").read_text().startswith("| method | top-1 class | GT-known Loc |")

    first = (out / "tscam/0/eval/metrics.json").read_bytes()
    (out / "lctr_without_cdm/0/eval/metrics.json").unlink()
    run(*asked)
    captured = capsys.readouterr()
    assert "1 of 2 runs done now" in captured.err
    assert "| `tscam` |" in captured.out
    assert (out / "tscam/0/eval/metrics.json").read_bytes() == first

    said = run_processes(["-c", IN_ONE_OF_TWO_PROCESSES], [*options, asked[0], "--seeds=2"], devices_each=1)
    assert said.count("2 of 4 runs done now") == 1
    assert said.count("| `tscam` |") == 1
    written = json.loads((out / "ablation.json").read_text())["methods"]["tscam"]["metrics"]
    metrics = json.loads((out / "tscam/1/eval/metrics.json").read_text())
    assert written["top1_cls"]["values"] == [classes[0]["mean"], metrics["top1_cls"]]
    assert (out / "tscam/0/eval/metrics.json").read_bytes() == first
    assert (out / "tscam/1/checkpoints/3").is_dir()

    run(*asked, "--config.eval.protocol=wsoleval")  # another evaluation of the same training
    assert "2 of 2 runs done now" in capsys.readouterr().err
    assert json.loads((out / "tscam/0/eval/metrics.json").read_text())["protocol"] == "wsoleval"


@pytest.mark.parametrize(
    ("text", "reason"), [("[" * 100_000, "nested too deeply"), ("3", "got a JSON number")]
)
def test_a_config_that_no_run_wrote_is_named(tmp_path, text, reason):
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval/metrics.json").write_text("{}")
    (tmp_path / "config.json").write_text(text)
    run = ablation.AblationRun(workdir=tmp_path, config=parse_config(default_config()), trained_in=None)
    with pytest.raises(ValueError, match=f"config.json: .*{reason}"):
        ablate.carry_out(run, make_mesh(), Interruption())


def test_what_counts_as_finished_is_process_0s_word(monkeypatch, tmp_path):
    """As on process 1, to whose disk the finished run has not come yet."""
    monkeypatch.setattr("jax.process_index", lambda: 1)
    words = iter([False, True])  # no error, finished
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", lambda own: own or next(words))
    run = ablation.AblationRun(workdir=tmp_path, config=parse_config(default_config()), trained_in=None)
    assert not ablate.carry_out(run, make_mesh(), Interruption())


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--methods=lctr,lcrt", "--methods: got 'lcrt', expected a list from lctr,"),
        ("--methods=cam,cam", "--methods: got cam,cam, expected each once"),
        ("--seeds=0", "--seeds: got 0"),
        ("--num_processes=2", "got no --coordinator and --process_id"),
        ("--sedes=1", "sedes"),
    ],
)
def test_a_mistake_is_one_line(run, capsys, argument, message):
    with pytest.raises(SystemExit, match="2"):
        run(argument)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
