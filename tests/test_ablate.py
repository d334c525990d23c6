"""The ablation command: what it trains, what it reuses, how it resumes, and its table."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_run import run_processes
from jax.experimental import multihost_utils
from small_run import ROOT, SMALL, draw_folder

from lctr_jax import ablate
from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.distributed.preemption import Interruption
from lctr_jax.run import ablation
from lctr_jax.run.ablation_formats import csv_table, latex_table, markdown_table
from lctr_jax.run.ablation_rows import Row, plan_rows
from lctr_jax.run.ablation_table import tabulate
from lctr_jax.run.config import default_config, parse_config
from lctr_jax.run.seed_summary import summarize_runs

IN_ONE_OF_TWO_PROCESSES = """
import sys
address, process = sys.argv[1:3]
sys.argv[1:3] = [f"--coordinator={address}", "--num_processes=2", f"--process_id={process}"]
from lctr_jax.ablate import main
main()
"""

METRICS = {"protocol": "lctr", "split": "test", "num_images": 10, "threshold_source": "held-out (val)"}


def summary(*gt_known_loc, **metrics):
    runs = {str(seed): METRICS | {"gt_known_loc": value} | metrics for seed, value in enumerate(gt_known_loc)}
    return summarize_runs(runs)


def table(*summaries):
    return tabulate([(Row(each, "", each), summary) for each, summary in summaries])


def test_a_row_per_method_with_mean_and_deviation_and_the_best_bold():
    baselines = {
        "full_image": {"gt_known_loc": 1.0},
        "centered_box": {"gt_known_loc": 63.04, "max_box_acc_v2": 40.0},
        "untrained": {"gt_known_loc": 8.0, "top1_cls": 10.0},
    }
    shown = table(
        ("lctr", summary(60.0, 62.0, 67.0, baselines=baselines, top1_cls=80.0)),
        ("cam_b", summary(50.0, 50.0, 50.0, baselines=baselines, max_box_acc_v2=44.0)),
    )
    assert markdown_table(shown).splitlines() == [
        "| method | Top-1 classification | GT-known Loc | MaxBoxAccV2 |",
        "| --- | --- | --- | --- |",
        "| `lctr` | **80.0** ± 0.0 | **63.0** ± 3.6 | – |",
        "| `cam_b` | – | 50.0 ± 0.0 | **44.0** ± 0.0 |",
        "| `lctr`, random weights | 10.0 ± 0.0 | 8.0 ± 0.0 | – |",
        "| `cam_b`, random weights | 10.0 ± 0.0 | 8.0 ± 0.0 | – |",
        "| best centered square | – | **63.0** | 40.0 |",
        "| full image | – | 1.0 | – |",
        "",
        "Percent, mean ± standard deviation of 3 seeds; protocol lctr, split test, images 10, threshold "
        "held-out (val). At the best threshold for the evaluated images (oracle): MaxBoxAccV2. Rows without "
        "training use the best threshold or size for the evaluated images in every column.",
    ]
    latex = latex_table(shown, command="ablate --a_b").splitlines()
    assert r"\texttt{cam\_b} & -- & 50.0 $\pm$ 0.0 & \textbf{44.0} $\pm$ 0.0 \\" in latex
    assert latex.index(r"\midrule", latex.index(r"\midrule") + 1) == latex.index(r"\toprule") + 5
    rows = list(csv.DictReader(csv_table(shown).splitlines()))
    assert [row["training"] for row in rows] == ["trained"] * 2 + ["random weights"] * 2 + ["none"] * 2
    assert rows[0]["gt_known_loc_std"] == "3.6056"
    assert (rows[4]["method"], rows[4]["gt_known_loc"]) == ("best centered square", "63.0400")
    assert rows[4]["top1_cls"] == rows[4]["top1_cls_std"] == ""


def test_several_backbones_are_named_in_every_format():
    row, one = Row("deit_tiny/cam", "deit_tiny", "cam"), summary(50.0, baselines={})
    shown = tabulate([(row, one), (row._replace(backbone="deit_small"), one)])
    assert markdown_table(shown).splitlines()[2] == "| deit_tiny | `cam` | **50.0** |"
    assert r"deit\_tiny & \texttt{cam} & \textbf{50.0} \\" in latex_table(shown, command="")
    assert csv_table(shown).splitlines()[2] == "deit_small,cam,trained,1,50.0000,"


def plan(methods, *, seeds=1, **arguments):
    config = parse_config(default_config())
    rows = plan_rows(methods, **arguments)
    return rows, ablate.plan_runs(Path("out"), [(row, config) for row in rows], seeds=seeds)


def test_each_head_is_trained_once_a_seed():
    _, runs = plan(ablate.default_methods(), seeds=2)
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


def test_methods_trained_with_other_options_do_not_share():
    rows = plan_rows(["lctr", "lctr_without_rpam"])
    config = parse_config(default_config())
    longer = replace(config, train=replace(config.train, epochs=config.train.epochs + 1))
    evaluated = replace(config, eval=replace(config.eval, batch_size=config.eval.batch_size + 1))
    for other, shared in ((longer, None), (evaluated, Path("out/lctr/0"))):
        runs = ablate.plan_runs(Path("out"), [(rows[0], config), (rows[1], other)], seeds=1)
        assert runs[1].trained_in == shared


def test_backbones_have_their_own_folders_weights_and_trainings():
    rows, runs = plan(["cam", "trilite"], backbones=["deit_tiny=a.pth", "deit_small"])
    assert [(row.folder, row.arguments) for row in rows[::2]] == [
        ("deit_tiny/cam", ("--config.model.name=deit_tiny", "--config.init_from=a.pth")),
        ("deit_small/cam", ("--config.model.name=deit_small",)),
    ]
    assert str(runs[3].workdir) == "out/deit_small/trilite/0"
    assert plan_rows(["cam"], backbones=["deit_tiny="])[0].folder == "cam"
    method = "my.module:METHOD"
    rows = plan_rows(["cam", method], method_options=[f"{method}:model.alpha=1", "cam:train.lr=2"])
    assert [row.arguments for row in rows] == [("--config.train.lr=2",), ("--config.model.alpha=1",)]


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


@pytest.mark.slow
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
    assert (out / "ablation.md").read_text().startswith("| method | Top-1 classification | Top-5")
    assert "best centered square" in (out / "ablation.csv").read_text()
    assert r"\texttt{tscam}" in (out / "ablation.tex").read_text()

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


def test_every_method_and_backbone_has_its_options(run, monkeypatch):
    done, written = [], []
    monkeypatch.setattr(ablate, "carry_out", lambda run, *_: bool(done.append(run)))
    monkeypatch.setattr(ablate, "write_results", lambda _, rows, **given: written.append((rows, given)))
    own = ["trilite:model.alpha=10", "trilite:train.lr=0.5", "trilite:augmentation.crop_scale=(0.5,1.0)"]
    out = run(
        "--methods=cam,trilite",
        "--backbones=deit_tiny,deit_small=",
        "--seeds=1",
        "--config.train.lr=0.25",
        "--config.model.alpha=20",
        "--config.augmentation.crop_scale",
        "(0.25,0.75)",
        *(f"--method_options={option}" for option in own),
    )
    found = {str(run.workdir.relative_to(out)): run.config for run in done}
    options = {name: (each.model["alpha"], each.train.lr, each.model["name"]) for name, each in found.items()}
    assert options == {
        "deit_tiny/cam/0": (20.0, 0.25, "deit_tiny"),
        "deit_tiny/trilite/0": (10.0, 0.5, "deit_tiny"),
        "deit_small/cam/0": (20.0, 0.25, "deit_small"),
        "deit_small/trilite/0": (10.0, 0.5, "deit_small"),
    }
    assert found["deit_small/trilite/0"].augmentation.crop_scale == (0.5, 1.0)
    assert found["deit_small/cam/0"].augmentation.crop_scale == (0.25, 0.75)
    assert [row.folder for row in written[0][0]] == [name.removesuffix("/0") for name in found]
    assert [row.backbone for row in written[0][0]] == ["deit_tiny"] * 2 + ["deit_small"] * 2


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
        ("--method_options=lctr:model.alhpa=1", 'lctr: command line: no such option: Did you mean "alpha"'),
        ("--method_options=lctr:train.lr=fast", "train.lr: got 'fast', expected a number"),
        ("--method_options=lctr:model.alpha=-1", "model.alpha: got -1.0"),
        ("--method_options=trilite:model.alpha=1", "'trilite' is not among --methods lctr,"),
        ("--method_options=model.alpha=1", "expected METHOD:OPTION=VALUE"),
        ("--method_options=lctr:eval.protocol=lctr", "the same for all methods: --config.eval.protocol=lctr"),
        ("--method_options=lctr:seed=1", "seed is set by --seeds"),
        ("--backbones=deit_tiny,deit_tiny=a", "got deit_tiny,deit_tiny=a, expected NAME or NAME=WEIGHTS"),
        ("--backbones=deit_tyni", "did you mean 'deit_tiny'?"),
        (
            f"--backbones=deit_tiny,deit_small={ROOT / 'configs/digits_deit.safetensors'}",
            "backbone of another shape",
        ),
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
    assert [line for line in error.splitlines() if line.startswith("error")] == error.splitlines()[-1:]
