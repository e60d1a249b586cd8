"""Training of a network on encoded documents."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from han.backend import keras
from han.backend.graph import free_old_networks, without_rewriting
from han.backend.variables import shared_kernels
from han.exceptions import DivergenceError, TrainingWarning, warn_user
from han.hyperparameters import Hyperparameters
from han.inference.prediction import classify
from han.memory.planning import TrainingPlan
from han.model import HierarchicalAttentionNetwork
from han.text.batches import prediction_batches
from han.text.corpus import Corpus
from han.training.callbacks import EmbeddingDelay, LearningRate, StatefulCallback, WeightAveraging
from han.training.checkpoint import Checkpoint
from han.training.checkpoint_saver import CheckpointSaver
from han.training.early_stopping import BestWeights, first_interrupt_ends
from han.training.losses import Crossentropy, MacroF1
from han.training.optimizer import LazyAdam
from han.training.pipeline import EpochOrder, Examples, batch_dataset
from han.training.progress import Progress
from han.training.steps import TrainingNetwork

History = dict[str, list[float]]

# The validation result that each `monitor` compares, and whether its minimum or maximum is best.
MONITORS = {"loss": ("val_loss", "min"), "accuracy": ("val_accuracy", "max"), "macro_f1": ("val_macro_f1", "max")}
# epochs="auto": many classes take more epochs, and few documents more, for enough steps. With too many epochs, the
# learning rate is still high when the network begins to learn the documents by heart.
MIN_EPOCHS, CLASSES_PER_EPOCH, MIN_STEPS, MAX_EPOCHS = 9, 2, 200, 40
# Number of training documents whose probabilities are checked for NaN if there is no validation loss.
CHECKED_DOCUMENTS = 64
# These callbacks replace the default learning-rate schedule.
RATE_CALLBACKS = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
ADVICE = "try a lower learning_rate, a longer warmup, or clipnorm=1.0 or less"


class Trainer:
    """Trains a network with Adam, for all epochs (`fit`) or one epoch per call (`update`).

    Parameters
    ----------
    network : TrainingNetwork
        A built network; it is compiled here.
    hyperparameters : Hyperparameters
    """

    def __init__(self, network: TrainingNetwork, hyperparameters: Hyperparameters) -> None:
        self.network = network
        self.optimizer = _compile(network, hyperparameters)

    def fit(
        self,
        training: Examples,
        validation: Examples,
        hyperparameters: Hyperparameters,
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        checkpoint: Checkpoint | None = None,
    ) -> History:
        """Train for the given number of epochs, stop early, and restore the best weights.

        The first Ctrl-C stops training. A `TrainingWarning` is issued if training is interrupted or, after the first
        epoch, if the loss or the probabilities are no longer finite.

        Parameters
        ----------
        training, validation : Examples
            Without validation examples, training runs for all epochs and keeps the last weights.
        hyperparameters : Hyperparameters
        plan : TrainingPlan
        rng : numpy.random.Generator
            Shuffles the documents.
        callbacks : sequence of keras.callbacks.Callback
            Called in addition to the default callbacks.
        checkpoint : Checkpoint, optional
            Where to save checkpoints, with the state to resume from.

        Returns
        -------
        dict of lists
            Loss and accuracy of each epoch; with the prefix `val_`, those of the validation examples.

        Raises
        ------
        DivergenceError
            If the loss or the probabilities are not finite in the first epoch.
        """
        run = _Run(self, training, validation, hyperparameters, plan, rng, checkpoint)
        self.network.divide(plan)
        with first_interrupt_ends(run.best), without_rewriting():
            history = run.train(callbacks)
        _report(run.best, run.epochs)
        return history

    def update(
        self, examples: Examples, hyperparameters: Hyperparameters, plan: TrainingPlan, rng: np.random.Generator
    ) -> History:
        """Train one epoch at a constant learning rate; the state of the optimizer is kept between calls.

        Returns
        -------
        dict of lists
            Loss and accuracy of the epoch.

        Raises
        ------
        DivergenceError
            If the loss or the probabilities are not finite. The network is restored to its previous state.
        """
        self.optimizer.learning_rate = hyperparameters.learning_rate
        self.network.divide(plan)
        batch_size = hyperparameters.documents_per_batch(len(examples.corpus))
        order = EpochOrder(examples.corpus, batch_size, rng)
        steps = -(-len(examples.corpus) // batch_size)
        dataset = batch_dataset(examples, order, steps, rng, hyperparameters.sentence_dropout)
        variables = [*self.network.variables, *self.optimizer.variables]
        before = [np.array(variable) for variable in variables]
        try:
            with without_rewriting():
                history = self.network.fit(dataset, shuffle=False, verbose=0).history
            probabilities = _some_probabilities(self.network, examples.corpus, plan)()
            for name, values in (("loss", history["loss"]), ("probabilities", probabilities)):
                invalid = np.ravel(values)[~np.isfinite(np.ravel(values))]
                if len(invalid):
                    raise DivergenceError(f"{name} became {invalid[0]}: the network is unchanged; {ADVICE}")
        except BaseException:  # restore the weights of an incomplete or diverged epoch
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            raise
        return {name: [float(value) for value in values] for name, values in history.items()}


class _Run:
    """One call of `Trainer.fit`: its epochs, batches and callbacks."""

    def __init__(
        self,
        trainer: Trainer,
        training: Examples,
        validation: Examples,
        hyperparameters: Hyperparameters,
        plan: TrainingPlan,
        rng: np.random.Generator,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.network, self.optimizer = trainer.network, trainer.optimizer
        self.training, self.hyperparameters, self.rng, self.checkpoint = training, hyperparameters, rng, checkpoint
        batch_size = hyperparameters.documents_per_batch(len(training.corpus))
        self.steps = -(-len(training.corpus) // batch_size)
        self.epochs = _epochs(hyperparameters.epochs, self.steps, self.network.classifier.units)
        self.order = EpochOrder(training.corpus, batch_size, rng)
        auto = -(-3 * self.epochs // 10)
        patience = auto if hyperparameters.patience == "auto" else int(hyperparameters.patience or self.epochs)
        self.validation = None
        if len(validation.corpus):
            batches = [
                (batch, False) for batch in prediction_batches(validation.corpus, max_words=plan.prediction_words)
            ]
            self.validation = batch_dataset(validation, lambda: batches, len(batches), rng)
            self.best = BestWeights(*MONITORS[hyperparameters.monitor], patience)
        else:
            self.best = BestWeights(None, "min", patience, _some_probabilities(self.network, training.corpus, plan))

    def train(self, callbacks: Sequence[keras.callbacks.Callback]) -> History:
        """Train until the last epoch, early stopping or an interrupt; return the results of all epochs."""
        called = self._callbacks(callbacks)
        history: History = {}
        if self.checkpoint is not None and self.checkpoint.state is not None and self.checkpoint.state["step"]:
            # Keras expects epochs of equal length, so an interrupted epoch is finished in a `fit` call of its own.
            history = self._fit(called, self.checkpoint.state["epoch"] + 1)
            self.checkpoint.read()
        if not self.best.interrupted:
            history = self._fit(called, self.epochs)
        return history

    def _callbacks(self, others: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
        """Return all callbacks in order: averaging comes before `others` and `BestWeights`, which read the averages."""
        hyperparameters = self.hyperparameters
        scheduled_elsewhere = any(isinstance(callback, RATE_CALLBACKS) for callback in others)
        warmup = max(round(hyperparameters.warmup * self.steps), 1)
        stateful: dict[str, StatefulCallback] = {
            "best": self.best,
            "rate": LearningRate(hyperparameters.learning_rate, warmup, self.epochs * self.steps, scheduled_elsewhere),
        }
        if hyperparameters.averaging:
            stateful["averaging"] = WeightAveraging(hyperparameters.averaging)
        if hyperparameters.embedding_training == "delay":
            stateful["delay"] = EmbeddingDelay(self.optimizer, self.steps)
        called: list[keras.callbacks.Callback] = [part for name, part in stateful.items() if name != "best"]
        called += others
        called.append(self.best)
        if hyperparameters.verbose and sys.stderr:
            called.append(Progress(self.epochs, self.steps, self.best))
        if self.checkpoint is not None:
            called.append(CheckpointSaver(self.checkpoint, self.order, self.best, stateful, self.epochs))
        return called

    def _fit(self, callbacks: list[keras.callbacks.Callback], last: int) -> History:
        """Train until epoch `last`, resuming from the checkpoint; return the results of all epochs."""
        first, history = 0, {}
        if self.checkpoint is not None and self.checkpoint.state is not None:
            state = self.checkpoint.state
            self.rng.bit_generator.state = state["order"]
            self.order.skipped = state["step"]
            first = self.epochs if state["ended"] else state["epoch"]
            history = state["history"]
        steps = self.steps - self.order.skipped
        results = self.network.fit(
            batch_dataset(self.training, self.order, steps, self.rng, self.hyperparameters.sentence_dropout),
            validation_data=self.validation,
            epochs=last,
            initial_epoch=first,
            callbacks=callbacks,
            shuffle=False,  # `training_batches` shuffles
            verbose=0,
        ).history
        names = {**history, **results}
        return {name: [*history.get(name, []), *map(float, results.get(name, []))] for name in names}


def _some_probabilities(
    network: HierarchicalAttentionNetwork, corpus: Corpus, plan: TrainingPlan
) -> Callable[[], npt.NDArray[np.float32]]:
    """Return a function that predicts the probabilities of the first documents."""
    some = corpus.take(np.arange(min(len(corpus), CHECKED_DOCUMENTS)))
    return lambda: classify(network, some, max_words=plan.prediction_words)


def _report(best: BestWeights, epochs: int) -> None:
    """Warn of an interrupt or a divergence; raise an error if there are no weights to keep."""
    kept = "" if best.best_epoch is None else f"the weights of epoch {best.best_epoch + 1} were kept"
    if best.diverged:
        if not kept:
            raise DivergenceError(f"{best.diverged}; {ADVICE}")
        warn_user(f"{best.diverged}: training stopped; {kept}; {ADVICE}", TrainingWarning)
    elif best.interrupted:
        warn_user(f"Ctrl-C in epoch {best.epoch + 1} of {epochs}: training stopped; {kept}", TrainingWarning)


@shared_kernels()
def _compile(network: TrainingNetwork, hyperparameters: Hyperparameters) -> LazyAdam:
    """Compile a network and return its optimizer."""
    free_old_networks(network)
    multi_label, classes = network.get_config()["multi_label"], network.classifier.units
    metric = keras.metrics.BinaryAccuracy if multi_label else keras.metrics.SparseCategoricalAccuracy
    metrics: list[Any] = [metric("accuracy")]
    if hyperparameters.monitor == "macro_f1":
        metrics.append(MacroF1(classes, multi_label))
    optimizer = LazyAdam(float(hyperparameters.learning_rate), global_clipnorm=hyperparameters.clipnorm)
    network.compile(
        optimizer=optimizer,
        loss=Crossentropy(hyperparameters.label_smoothing, multi_label),
        weighted_metrics=metrics,
        jit_compile=False,  # shapes change with every batch
    )
    network.create_variables()
    return optimizer


def _epochs(epochs: int | str, steps: int, classes: int) -> int:
    """Return the number of epochs, each with `steps` steps."""
    if isinstance(epochs, str):
        return min(max(MIN_EPOCHS + classes // CLASSES_PER_EPOCH, -(-MIN_STEPS // steps)), MAX_EPOCHS)
    return int(epochs)
