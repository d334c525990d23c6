"""What is due at each step of a training: logging, validation, checkpoint, the next step, the end."""

import enum
from dataclasses import dataclass

from lctr_jax.training.training_config import TrainingOptions


@dataclass(frozen=True)
class Plan:
    """The training options in units of steps: `options.epochs` epochs of `steps_per_epoch` steps."""

    options: TrainingOptions
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole training."""
        return self.options.epochs * self.steps_per_epoch

    def logs_at(self, step: int) -> bool:
        """Return whether a logging window ends at this step."""
        return step == self.total_steps or step % self.options.log_every_steps == 0

    def saves_at(self, step: int) -> bool:
        """Return whether a checkpoint is due after this step; the last step always has one."""
        return step == self.total_steps or self._ends(self.options.checkpoint_every_epochs, step)

    def evaluates_at(self, step: int) -> bool:
        """Return whether a validation during training is due after this step.

        The full evaluation follows the last step, so a validation is due there only for `keep_best`.
        """
        if step == self.total_steps:
            return bool(self.options.keep_best)
        return self._ends(self.options.eval_every_epochs, step)

    def stops_at(self, step: int, *, best: int | None) -> bool:
        """Return whether `train.patience` ends training after this step; `best`: step of the best weights."""
        options = self.options
        wait = options.patience * options.eval_every_epochs * self.steps_per_epoch
        return wait > 0 and best is not None and step - best >= wait

    def _ends(self, epochs: int, step: int) -> bool:
        return epochs > 0 and step % (epochs * self.steps_per_epoch) == 0


class Action(enum.Enum):
    """The next action of a training."""

    EVALUATE = enum.auto()
    SAVE = enum.auto()
    STEP = enum.auto()


class Agenda:
    """The position of a training in its plan: steps taken, and actions done at the current step.

    A step is followed by its validation and then its checkpoint, which therefore records that the validation
    is done. A run that was stopped in between resumes with `evaluated` from its checkpoint. `stopped` means
    that a validation has ended training early.
    """

    def __init__(self, plan: Plan, *, step: int = 0, evaluated: bool = True, stopped: bool = False):
        self.plan, self.step, self.evaluated, self.stopped = plan, step, evaluated, stopped
        # A resumed run starts from the checkpoint of its step, and a new one has nothing to save.
        self._saved = True

    @property
    def next(self) -> Action | None:
        """The action due now; None at the end."""
        if not self.evaluated:
            return Action.EVALUATE
        if not self._saved:
            return Action.SAVE
        return Action.STEP if self.step < self.plan.total_steps and not self.stopped else None

    def stop(self) -> None:
        """Take no further step; a checkpoint of this one is due."""
        self.stopped, self._saved = True, False

    def done(self, action: Action) -> None:
        """Record that an action is done; after a step, its validation and checkpoint become due."""
        match action:
            case Action.EVALUATE:
                self.evaluated = True
            case Action.SAVE:
                self._saved = True
            case Action.STEP:
                self.step += 1
                self.evaluated = not self.plan.evaluates_at(self.step)
                self._saved = not self.plan.saves_at(self.step)
