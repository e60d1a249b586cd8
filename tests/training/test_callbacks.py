from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from han import HANClassifier
from han.backend import keras
from han.exceptions import DivergenceError, TrainingWarning
from han.training.callbacks import check_callbacks
from han.training.early_stopping import BestWeights, first_interrupt_ends
from tests.small_training import LABELS, SETTINGS, STEPS, TEXTS, At, train, weights


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_stops_training_and_keeps_the_best_weights():
    with pytest.warns(TrainingWarning, match=r"Ctrl-C in epoch 3 of 4: training stopped; the weights of epoch \d"):
        classifier = train(callbacks=[At(2 * STEPS + 2, interrupt)])
    assert len(classifier.history_["loss"]) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    classifier.predict(TEXTS)


@pytest.mark.slow
def test_training_resumes_after_ctrl_c(tmp_path):
    whole = train()
    with pytest.warns(TrainingWarning, match="Ctrl-C in epoch 2 of 4"):
        train(callbacks=[At(STEPS + 2, interrupt)], checkpoint_dir=tmp_path)
    resumed = train(checkpoint_dir=tmp_path)
    for weight, expected in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_second_ctrl_c_raises_and_leaves_the_classifier_unchanged():
    classifier = train(settings={"epochs": 1})
    before, history = weights(classifier), classifier.history_
    callbacks = [At(2, interrupt), At(2, interrupt)]
    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(epochs=3).fit(TEXTS, LABELS, callbacks=callbacks)
    assert classifier.history_ is history
    for weight, expected in zip(weights(classifier), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_other_handlers_of_ctrl_c_stay_in_place():
    best = BestWeights(None, "min", 1)
    seen = []
    previous = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with first_interrupt_ends(best):
            interrupt()
    finally:
        signal.signal(signal.SIGINT, previous)
    assert seen == [1]
    assert not best.interrupted

    def elsewhere():
        with first_interrupt_ends(best):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen[1] is signal.default_int_handler


class Poison(keras.callbacks.Callback):
    """Sets weights to NaN at the beginning of an epoch, counted from 0."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.classifier.bias.assign([np.nan, np.nan])


def test_a_nan_loss_stops_training_and_keeps_the_last_finite_weights():
    expected = train(settings={"epochs": 2, "validation_fraction": 0.0, "warmup": 0.0, "averaging": 0.0})
    message = r"loss became nan in epoch 3: training stopped; the weights of epoch 2 were kept; try a lower"
    with pytest.warns(TrainingWarning, match=message):
        classifier = train(settings={"validation_fraction": 0.0, "averaging": 0.0}, callbacks=[Poison(2)])
    assert np.isfinite(classifier.predict_proba(TEXTS)).all()
    assert classifier.predict(TEXTS).tolist() == expected.predict(TEXTS).tolist()


def test_a_nan_loss_in_the_first_epoch_is_an_error():
    classifier = train(settings={"epochs": 1})
    before = weights(classifier)
    with pytest.raises(DivergenceError, match=r"loss became nan in epoch 1; try a lower learning_rate"):
        classifier.fit(TEXTS, LABELS, callbacks=[Poison(0)])
    for weight, expected in zip(weights(classifier), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.slow
def test_divergence_with_a_high_learning_rate():
    classifier = HANClassifier(**{**SETTINGS, "learning_rate": 1e30, "warmup": 0.0, "clipnorm": None, "averaging": 0.0})
    with pytest.raises(DivergenceError, match=r"loss became (nan|inf) in epoch 1"):
        classifier.fit(TEXTS, LABELS)
    assert not hasattr(classifier, "model_")


def test_a_divergence_in_the_last_step_of_an_epoch_is_detected():
    """The loss of a step is computed before its update, so it does not reveal the divergence."""
    settings = {"validation_fraction": 0.0, "averaging": 0.0}

    def poison():
        callback.model.classifier.bias.assign([np.nan, np.nan])

    callback = At(2 * STEPS, poison)
    with pytest.warns(
        TrainingWarning, match="probabilities became nan in epoch 2: .* the weights of epoch 1 were kept"
    ):
        classifier = train(settings=settings, callbacks=[callback])
    assert np.isfinite(classifier.predict_proba(TEXTS)).all()
    one_step = {**settings, "batch_size": 40, "epochs": 1, "learning_rate": 1e30, "warmup": 0.0}
    with pytest.raises(DivergenceError, match="probabilities became nan in epoch 1; try a lower learning_rate"):
        train(settings=one_step)


def test_partial_fit_restores_the_weights_after_a_divergence():
    classifier = HANClassifier(**{**SETTINGS, "validation_fraction": 0.0, "epochs": 1}).fit(TEXTS, LABELS)
    before, history = weights(classifier), classifier.history_
    for learning_rate, batch_size, name in ((1e30, 40, "probabilities"), (1e30, 8, "loss")):
        classifier.set_params(learning_rate=learning_rate, batch_size=batch_size)
        with pytest.raises(DivergenceError, match=rf"{name} became (nan|inf): the network is unchanged"):
            classifier.partial_fit(TEXTS, LABELS)
        assert classifier.history_ is history
        for weight, expected in zip(weights(classifier), before, strict=True):
            np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 0)])
def test_early_stopping_restores_the_best_epoch(mode, best):
    values = [0.9, 0.5, 0.3, 0.4, 0.4, 0.1]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    callback = BestWeights("val_loss", mode, 2)
    callback.set_model(model)
    model.stop_training = False
    for epoch, value in enumerate(values):
        model.set_weights([np.full((1, 1), epoch), np.zeros(1)])
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"loss": 1.0, "val_loss": value})
        if model.stop_training:
            break
    callback.on_train_end()
    assert epoch == best + 2
    assert callback.best_epoch == best
    assert model.get_weights()[0] == best


class Rates(keras.callbacks.Callback):
    """Records the learning rate of each step."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


def rates(*callbacks, **settings):
    """Return the learning rate of each step [epochs, steps], and the classifier."""
    recorder = Rates()
    classifier = train(settings={"epochs": 3, **settings}, callbacks=[*callbacks, recorder])
    return np.reshape(recorder.rates, (-1, STEPS)), classifier


def test_the_schedule_equals_cosine_decay_in_keras():
    found, _ = rates(warmup=0.6)
    schedule = keras.optimizers.schedules.CosineDecay(
        SETTINGS["learning_rate"] / 100, 3 * STEPS - 3, warmup_target=SETTINGS["learning_rate"], warmup_steps=3
    )
    np.testing.assert_allclose(found.ravel(), [float(schedule(step)) for step in range(3 * STEPS)], rtol=1e-5)


def test_a_scheduler_sets_the_learning_rate_of_each_epoch():
    found, classifier = rates(keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 / (1 + epoch)))
    np.testing.assert_allclose(found, [[0.01] * STEPS, [0.005] * STEPS, [0.01 / 3] * STEPS], rtol=1e-6)
    np.testing.assert_allclose(classifier.history_["learning_rate"], [0.01, 0.005, 0.01 / 3], rtol=1e-6)
    found, _ = rates(keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate))
    np.testing.assert_allclose(found[:, -1], [0.01, 0.005, 0.0025], rtol=1e-6)


def test_the_learning_rate_is_reduced_on_a_plateau():
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=1, min_delta=100.0, factor=0.1)
    found, _ = rates(plateau)
    np.testing.assert_allclose(found, [[0.01] * STEPS, [0.01] * STEPS, [0.001] * STEPS], rtol=1e-6)


class SetRate(keras.callbacks.Callback):
    """Sets the learning rate at the beginning of the second epoch, in one of two ways."""

    def __init__(self, assign):
        super().__init__()
        self.assign = assign

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and self.assign:
            self.model.optimizer.learning_rate.assign(0.003)
        elif epoch == 1:
            self.model.optimizer.learning_rate = 0.003


@pytest.mark.parametrize("assign", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_callback_of_ones_own_that_sets_the_rate_takes_over(assign):
    expected, _ = rates()
    found, _ = rates(SetRate(assign))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1:], 0.003, rtol=1e-6)


class Evaluate(keras.callbacks.Callback):
    """Evaluates the network on its own padded documents, with and without weights."""

    def on_epoch_end(self, epoch, logs=None):
        blocks, targets = np.array([[[2, 3, 0], [4, 0, 0]], [[5, 2, 2], [0, 0, 0]]]), np.array([0, 1])
        probabilities = self.model.predict(blocks, verbose=0)
        loss = -np.log(probabilities[[0, 1], targets])
        for given in (None, np.array([1.0, 3.0])):
            found = self.model.evaluate(blocks, targets, sample_weight=given, verbose=0, return_dict=True)
            expected = (loss * (1.0 if given is None else given)).mean()
            penalty = float(sum(self.model.losses))
            assert found["loss"] == pytest.approx(expected + penalty, rel=1e-4)


@pytest.mark.slow
def test_a_callback_may_evaluate_the_network():
    classifier = train(callbacks=[Evaluate()])
    for weight, expected in zip(weights(classifier), weights(train()), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_files_of_keras_callbacks_can_be_read(tmp_path):
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.EarlyStopping(monitor="val_macro_f1", patience=0, min_delta=10.0),
        keras.callbacks.TerminateOnNaN(),
    ]
    settings = {"monitor": "macro_f1", "label_smoothing": 0.1, "averaging": 0.0}
    classifier = train(settings=settings, callbacks=callbacks)
    assert len(classifier.history_["loss"]) == 2  # stopped early
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "epoch,accuracy,loss,macro_f1,val_accuracy,val_loss,val_macro_f1"
    loaded = keras.saving.load_model(tmp_path / "2.keras")
    assert loaded.loss.get_config()["label_smoothing"] == 0.1
    assert loaded.get_config() == {**classifier.model_.get_config(), "ngrams": 0, "name": loaded.name}
    blocks, targets = np.array([[[2, 3, 0], [4, 0, 0]], [[5, 2, 2], [0, 0, 0]]]), np.array([0, 1])
    assert "macro_f1" in loaded.evaluate(blocks, targets, verbose=0, return_dict=True)


@pytest.mark.parametrize(
    ("name", "arguments", "instead"),
    [("SwapEMAWeights", {}, "averaging"), ("BackupAndRestore", {"backup_dir": "backup"}, "checkpoint_dir")],
)
def test_unsupported_callbacks_are_rejected(name, arguments, instead):
    callback = getattr(keras.callbacks, name)(**arguments)
    with pytest.raises(ValueError, match=f"must not contain {name}: use {instead}"):
        train(callbacks=[callback])


def test_callbacks_are_returned_as_a_list():
    callback = keras.callbacks.Callback()
    assert check_callbacks(None) == []
    assert check_callbacks((callback,)) == [callback]


@pytest.mark.parametrize(
    "callbacks", [keras.callbacks.Callback(), [print], ["early stopping"], [keras.callbacks.Callback]]
)
def test_invalid_callbacks_are_rejected(callbacks):
    with pytest.raises(TypeError, match=r"callbacks must be a list of keras\.callbacks\.Callback, got"):
        check_callbacks(callbacks)
