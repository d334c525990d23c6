"""Kill a training repeatedly, restart it each time, and compare it with an uninterrupted one.

python -m benchmarks.faults [--kills 24] [--seed 0] [--json FILE]

The training runs in two processes with two CPU devices each. All checkpoints written after a restart must be
bit-identical to those of the uninterrupted training, including the optimizer state; so must the final metrics
and predictions, and the best checkpoint must be of the same step.
"""

import argparse
import json
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.interrupted_training import EPOCHS, STEPS_PER_EPOCH, Training, digest, draw_pictures
from lctr_jax.checkpoints.store import list_steps
from lctr_jax.host.paths import path_argument

KINDS = (
    "SIGKILL, any time",
    "SIGKILL while starting",
    "SIGKILL during a checkpoint's write",
    "SIGKILL during evaluation",
    "SIGKILL of one process",
    "SIGKILL, newest checkpoint torn",
    "SIGTERM to one process",
    "SIGTERM to all processes",
)
RESULTS = ("eval/metrics.json", "eval/predictions.jsonl")


@dataclass
class Kill:
    """One kill: the step reached, the step resumed at, and the checkpoints compared afterwards."""

    kind: str
    reached: int
    statuses: list[int]
    resumed: int | None = None
    compared: int = 0
    identical: bool = True


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with status 1 if anything was not bit-identical."""
    options = _parser().parse_args(arguments)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = run_faults(Path(folder), kills=options.kills, seed=options.seed)
    report["minutes"] = (time.monotonic() - start) / 60
    _print(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    if not report["same_results"] or not all(kill["identical"] for kill in report["kills"]):
        raise SystemExit(1)


def run_faults(base: Path, *, kills: int, seed: int) -> dict[str, Any]:
    """Train without interruption, then repeatedly with kills of each kind in turn until all are used."""
    draw_pictures(base / "pictures")
    peace = base / "peace"
    (status, *_) = Training(base, peace, **{"train.keep_checkpoints": EPOCHS}).end(seconds=500)
    if status:
        raise RuntimeError("the uninterrupted training failed")
    expected = {int(path.name): path for path in list_steps(peace / "checkpoints")}
    chance, done, trainings, same = random.Random(seed), [], 0, True
    while len(done) < kills:
        trainings += 1
        workdir = base / f"killed{trainings}"
        left = [KINDS[number % len(KINDS)] for number in range(len(done), kills)]
        done += _train_with_kills(base, workdir, left, expected, chance)
        same &= all((workdir / name).read_bytes() == (peace / name).read_bytes() for name in RESULTS)
        best, its = (sorted((each / "checkpoints/best").glob("*")) for each in (workdir, peace))
        same &= [path.name for path in best] == [path.name for path in its]
    return {"kills": [asdict(kill) for kill in done], "trainings": trainings, "same_results": same}


def _train_with_kills(
    base: Path, workdir: Path, kinds: list[str], expected: dict[int, Path], chance: random.Random
) -> list[Kill]:
    """Run one training to its end, with as many kills as happen before."""
    done: list[Kill] = []
    for kind in [*kinds, None]:
        training = Training(base, workdir)
        killed = kind is not None and _kill(training, kind, chance)
        statuses = training.end(seconds=500 if not killed else 20)
        if done and training.started:
            for kill in done:
                kill.resumed = training.resumed_at if kill.resumed is None else kill.resumed
            _compare(done[-1], workdir, expected, since=training.resumed_at)
        if not killed or not any(statuses):  # the training ended before the kill
            if any(statuses):
                raise RuntimeError(f"the training failed: {statuses}: {training.output[-2000:]}")
            break
        if kind == "SIGKILL, newest checkpoint torn":
            _tear(workdir, chance)
        done.append(Kill(str(kind), training.step, statuses))
        print(f"{len(done)}: {kind} at step {training.step}, statuses {statuses}", flush=True)
    return done


def _kill(training: Training, kind: str, chance: random.Random) -> bool:
    """Wait for the right moment and kill; return false if the training ended before."""
    if kind == "SIGKILL while starting":
        moment = training.wait_for(lambda: False, seconds=chance.uniform(0.5, 6)) or training.running
    else:
        moment = training.wait_for(lambda: "first batch" in training.output)
        wanted = training.step + chance.randint(1, 5 * STEPS_PER_EPOCH)
        moment = moment and training.wait_for(lambda: training.step >= wanted)
    if kind == "SIGKILL during a checkpoint's write":
        moment = moment and training.wait_for(lambda: any(training.workdir.glob("checkpoints/*-tmp*")))
        time.sleep(chance.uniform(0, 0.03))
    if kind == "SIGKILL during evaluation":
        before = training.output.count("evaluating")
        moment = moment and training.wait_for(lambda: training.output.count("evaluating") > before)
        time.sleep(chance.uniform(0, 0.1))
    if not moment or not training.running:
        return False
    ranks = (chance.randrange(2),) if "one process" in kind else (0, 1)
    training.signal(signal.SIGTERM if "SIGTERM" in kind else signal.SIGKILL, ranks)
    return True


def _tear(workdir: Path, chance: random.Random) -> None:
    newest = list_steps(workdir / "checkpoints")[0]
    files = sorted(path for path in newest.rglob("*") if path.is_file() and path.stat().st_size > 100)
    torn = chance.choice(files)
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])


def _compare(kill: Kill, workdir: Path, expected: dict[int, Path], *, since: int) -> None:
    """Compare the checkpoints written since that step with the uninterrupted training's."""
    for path in list_steps(workdir / "checkpoints"):
        if int(path.name) > since and int(path.name) in expected:
            kill.compared += 1
            kill.identical &= digest(path) == digest(expected[int(path.name)])


def _print(report: dict[str, Any]) -> None:
    kills = [Kill(**kill) for kill in report["kills"]]
    title = f"{len(kills)} kills over {report['trainings']} trainings, {report['minutes']:.0f} minutes"
    table = Table(title=title)
    for column in ("", "kills", "resumed bit-identically", "steps done again, at most", "exit statuses"):
        table.add_column(column, justify="left" if not column else "right")
    for kind in KINDS:
        those = [kill for kill in kills if kill.kind == kind]
        if those:
            statuses = sorted({status for kill in those for status in kill.statuses})
            again = max(max(0, kill.reached - (kill.resumed or 0)) for kill in those)
            same = sum(kill.identical for kill in those)
            table.add_row(kind, str(len(those)), str(same), str(again), ", ".join(map(str, statuses)))
    console = Console()
    console.print(table)
    console.print(f"checkpoints compared: {sum(kill.compared for kill in kills)}")
    same = "the same" if report["same_results"] else "NOT THE SAME"
    console.print(f"metrics, predictions and the best checkpoint's step in the end: {same}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()
