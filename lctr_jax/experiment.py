"""The main job: data, network, training, evaluation and pictures, as one config describes them."""

from dataclasses import asdict, dataclass
from pathlib import Path

import grain
import jax
import optax
from jax.sharding import Mesh

from lctr_jax.checkpoints.initialisation import initialise_from
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import load_weights, require_spec
from lctr_jax.config import RunConfig
from lctr_jax.data.datasets import Split, open_split
from lctr_jax.data.device_feed import device_prefetch
from lctr_jax.data.pipeline import TrainIterator, train_batches
from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.evaluation.stream import Result
from lctr_jax.models.parameters import Parameters, initialise
from lctr_jax.models.sizes import ModelSpec
from lctr_jax.report.environment import describe_environment
from lctr_jax.report.gallery import Gallery
from lctr_jax.report.headline import headline
from lctr_jax.report.report import write_report
from lctr_jax.report.sheet import Sheet
from lctr_jax.run_config import record_config
from lctr_jax.training.device_augmentation import DeviceAugmentation
from lctr_jax.training.log import RunLog
from lctr_jax.training.loop import Plan, train
from lctr_jax.training.mesh import batch_sharding, check_batch, put_batch, replicated, state_shardings
from lctr_jax.training.optimizer import adamw, learning_rate
from lctr_jax.training.run_checkpoints import RunCheckpoints
from lctr_jax.training.state import TrainState, new_state
from lctr_jax.training.steps import Batch, compile_step


@dataclass(frozen=True)
class Experiment:
    """A run: its options, its folder, its devices and its log."""

    config: RunConfig
    workdir: Path
    mesh: Mesh
    log: RunLog

    def train(self) -> None:
        """Train, from the folder's newest checkpoint if there is one, then evaluate.

        Raises:
            ValueError: an option is impossible, the data or a checkpoint does not fit, or the loss diverges.
            FileNotFoundError: the data or the checkpoint to start from is missing.
        """
        options = self.config.train
        check_batch("train.batch_size", options.batch_size, self.mesh, parts=options.micro_batches)
        split = self._open(self.config.data.train_split)
        spec = self.config.spec(num_classes=len(split.class_names))
        evaluator = self._evaluator(spec)  # now, so that its options are checked before anything is trained
        batches = self._batches(split, spec)
        schedule = self._schedule(batches.steps_per_epoch)
        optimizer = adamw(schedule, weight_decay=options.weight_decay)
        checkpoints = self._checkpoints(split, spec)
        if jax.process_index() == 0:
            record_config(self.workdir, self.config, resuming=checkpoints.latest_step is not None)
        state = self._start(spec, optimizer, checkpoints)
        batches.set_state({"next_step": int(state.step)})
        step_fn = compile_step(
            self.mesh,
            state,
            spec=spec,
            optimizer=optimizer,
            seed=self.config.seed,
            augmentation=DeviceAugmentation(
                erasing=options.erasing,
                mixup=options.mixup,
                cutmix=options.cutmix,
                label_smoothing=options.label_smoothing,
            ),
            micro_batches=options.micro_batches,
            ema_decay=options.ema_decay,
        )

        def look(state: TrainState, step: int) -> None:
            scalars = evaluator.quick(state.weights)
            self.log.write(step, scalars)
            self.log.say("  ".join(f"{name} {value:.2f}" for name, value in scalars.items()))

        feed = self._on_devices(batches)
        state = train(
            state,
            step_fn,
            feed,
            plan=self._plan(batches.steps_per_epoch),
            schedule=schedule,
            log=self.log,
            save=checkpoints.save,
            evaluate=look,
        )
        feed.close()
        checkpoints.close()
        self._evaluate(evaluator, spec, state.weights, weights=f"trained here, {int(state.step)} steps")

    def evaluate(self, checkpoint: str) -> None:
        """Evaluate a checkpoint of training or of the converter, without training.

        Raises:
            ValueError: the checkpoint is not of the config's network, or an option is impossible.
            FileNotFoundError: the data or the checkpoint is missing.
        """
        spec = self.config.spec(num_classes=len(self._open(self.config.eval.split).class_names))
        metadata, parameters = load_weights(checkpoint)
        require_spec(metadata, spec, path=checkpoint)
        parameters = jax.device_put(parameters, replicated(self.mesh))
        self._evaluate(self._evaluator(spec), spec, parameters, weights=checkpoint)

    def _evaluate(
        self, evaluator: Evaluator, spec: ModelSpec, parameters: Parameters, *, weights: str
    ) -> None:
        folder = self.workdir / "eval"
        split = self._open(self.config.eval.split)
        sheet = Sheet(len(split), count=self.config.eval.sheet_images, class_names=split.class_names)
        gallery = Gallery()

        def show(result: Result) -> None:
            sheet.add(result)
            gallery.add(result)

        self.log.say(f"evaluating on {split.name}: {len(split)} images")
        metrics = evaluator.run(parameters, folder, references=self._references(spec), on_result=show)
        if jax.process_index() == 0:
            sheet.write(folder / "sheet.png")
            write_report(
                folder,
                gallery,
                title=f"{self.config.model['name']} on {self._data_set()}",
                class_names=split.class_names,
                options=asdict(self.config),
                facts={"weights": weights, "devices": self._devices(), **describe_environment()},
            )
        self.log.say(headline(metrics))
        self.log.say(f"results: {folder / 'metrics.json'}  pictures: {folder / 'report.html'}")

    def _data_set(self) -> str:
        return f"{self.config.data.name} {Path(self.config.data.root).name}".strip()

    def _devices(self) -> str:
        device = self.mesh.devices.flat[0]
        return f"{self.mesh.devices.size} x {device.device_kind} ({device.platform})"

    def _references(self, spec: ModelSpec) -> dict[str, Parameters]:
        """Networks that learned nothing of this task: at random weights, and as training starts."""
        if not self.config.eval.untrained_baseline:
            return {}
        untrained = self._initial(spec)
        references = {"untrained": untrained}
        if self.config.init_from:
            references["before_training"] = initialise_from(self.config.init_from, spec, untrained)[0]
        return jax.device_put(references, replicated(self.mesh))

    def _initial(self, spec: ModelSpec) -> Parameters:
        return initialise(spec, jax.random.key(self.config.seed))

    def _start(
        self, spec: ModelSpec, optimizer: optax.GradientTransformation, checkpoints: RunCheckpoints
    ) -> TrainState:
        """The newest checkpoint's state, or a new one, placed on the devices."""
        parameters = self._initial(spec)
        resuming = checkpoints.latest_step is not None
        if self.config.init_from and not resuming:
            parameters, report = initialise_from(self.config.init_from, spec, parameters)
            self.log.say(str(report))
        state = new_state(parameters, optimizer, averaging=self.config.train.ema_decay > 0)
        state = jax.device_put(state, state_shardings(self.mesh, state))
        if resuming:
            state = checkpoints.restore(state)
            self.log.say(f"resuming at step {int(state.step)}")
        return state

    def _batches(self, split: Split, spec: ModelSpec) -> TrainIterator:
        return train_batches(
            split,
            batch_size=self.config.train.batch_size,
            image_size=spec.image_size,
            seed=self.config.seed,
            augmentation=self.config.augmentation,
            num_workers=self.config.data.num_workers,
            shard=(jax.process_index(), jax.process_count()),
            on_corrupt=self.config.data.on_corrupt,
        )

    def _on_devices(self, batches: TrainIterator) -> grain.DatasetIterator[Batch]:
        sharding = batch_sharding(self.mesh)
        wanted = ("image", "label", "replaced")
        return device_prefetch(batches, lambda batch: put_batch({k: batch[k] for k in wanted}, sharding))

    def _schedule(self, steps_per_epoch: int) -> optax.Schedule:
        options = self.config.train
        return learning_rate(
            lr=options.lr,
            batch_size=options.batch_size,
            epochs=options.epochs,
            steps_per_epoch=steps_per_epoch,
            warmup_lr=options.warmup_lr,
            min_lr=options.min_lr,
            warmup_epochs=options.warmup_epochs,
            per_epoch=options.schedule == "per_epoch",
        )

    def _plan(self, steps_per_epoch: int) -> Plan:
        options = self.config.train
        return Plan(
            total_steps=options.epochs * steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            batch_size=options.batch_size,
            log_every=options.log_every_steps,
            save_every=options.checkpoint_every_epochs * steps_per_epoch,
            evaluate_every=options.eval_every_epochs * steps_per_epoch,
        )

    def _checkpoints(self, split: Split, spec: ModelSpec) -> RunCheckpoints:
        known = len(split.class_names) == spec.num_classes
        names = tuple(split.class_names) if known else None
        metadata = Metadata(
            kind="network", spec=spec, class_names=names, source=f"training in {self.workdir}"
        )
        return RunCheckpoints(self.workdir, metadata, keep=self.config.train.keep_checkpoints)

    def _open(self, name: str) -> Split:
        data = self.config.data
        boxes = {split: path for split, path in data.boxes.items() if path}
        return open_split(data.name, name, data_dir=data.data_dir, root=data.root or None, boxes=boxes)

    def _evaluator(self, spec: ModelSpec) -> Evaluator:
        return Evaluator(
            self.config.eval,
            spec,
            self.mesh,
            open_split=self._open,
            num_workers=self.config.data.num_workers,
        )
