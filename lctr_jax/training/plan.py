"""What is due when in a training: log, evaluation, checkpoint, the next step, the end."""

import enum
from dataclasses import dataclass

from lctr_jax.training.training_config import TrainingOptions


@dataclass(frozen=True)
class Plan:
    """A training's options in steps: `options.epochs` epochs of `steps_per_epoch` steps."""

    options: TrainingOptions
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.options.epochs * self.steps_per_epoch

    def logs_at(self, step: int) -> bool:
        """Return whether the log's window ends with this step."""
        return step == self.total_steps or step % self.options.log_every_steps == 0

    def saves_at(self, step: int) -> bool:
        """Return whether a checkpoint is due after this step; the last step always has one."""
        return step == self.total_steps or self._ends(self.options.checkpoint_every_epochs, step)

    def evaluates_at(self, step: int) -> bool:
        """Return whether an evaluation during training is due after this step.

        After the last step the whole evaluation follows, so there only where the best weights are kept.
        """
        if step == self.total_steps:
            return bool(self.options.keep_best)
        return self._ends(self.options.eval_every_epochs, step)

    def _ends(self, epochs: int, step: int) -> bool:
        return epochs > 0 and step % (epochs * self.steps_per_epoch) == 0


class Action(enum.Enum):
    """What a training does next."""

    EVALUATE = enum.auto()
    SAVE = enum.auto()
    STEP = enum.auto()


class Agenda:
    """Where a training is in its plan: the steps taken, and what of the current step's duties is done.

    After a step comes its evaluation, then its checkpoint, which so records that the evaluation is done. A
    run that was stopped in between is resumed with `evaluated` as its checkpoint says.
    """

    def __init__(self, plan: Plan, *, step: int = 0, evaluated: bool = True):
        self.plan, self.step, self.evaluated = plan, step, evaluated
        self._saved = (
            True  # a resumed run starts from the checkpoint of its step, a new one with nothing to save
        )

    @property
    def next(self) -> Action | None:
        """What is due now; None at the end."""
        if not self.evaluated:
            return Action.EVALUATE
        if not self._saved:
            return Action.SAVE
        return Action.STEP if self.step < self.plan.total_steps else None

    def done(self, action: Action) -> None:
        """Record that the action is done; after a step, its evaluation and its checkpoint become due."""
        match action:
            case Action.EVALUATE:
                self.evaluated = True
            case Action.SAVE:
                self._saved = True
            case Action.STEP:
                self.step += 1
                self.evaluated = not self.plan.evaluates_at(self.step)
                self._saved = not self.plan.saves_at(self.step)
