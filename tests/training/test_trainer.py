from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from han import HANClassifier
from han.backend import keras, tf
from han.hyperparameters import Hyperparameters
from han.memory.planning import Parts, TrainingPlan
from han.text.reader import DocumentReader
from han.text.splitting import DocumentSplitter
from han.training.losses import Crossentropy, MacroF1
from han.training.pipeline import Examples
from han.training.steps import TrainingNetwork
from han.training.trainer import Trainer, _epochs

SETTINGS = {
    "learning_rate": 0.01, "warmup": 0.5, "batch_size": 8, "epochs": 3, "patience": None, "averaging": 0.0, "verbose": 0
}  # fmt: skip


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 40)
    texts = [" ".join(rng.choice(["good", "fine"] if t else ["bad", "dull"], 5)) + ". So it is." for t in targets]
    reader, corpus = DocumentReader.learn(texts, DocumentSplitter(), 1, None)
    return corpus, reader.vocabulary, targets


class Recorder(keras.callbacks.Callback):
    """Records the weights after each step, at validation and at the end of each epoch."""

    def on_train_begin(self, logs=None):
        self.steps, self.validated, self.at_end = [self._weights()], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self._weights())

    def on_test_begin(self, logs=None):
        self.validated.append(self._weights())

    def on_epoch_end(self, epoch, logs=None):
        self.at_end.append(self._weights())

    def _weights(self):
        return [np.array(weight) for weight in self.model.trainable_variables]


def run(documents, held_out=True, plan=TrainingPlan(), **changes):  # noqa: B008 immutable
    corpus, vocabulary, targets = documents
    model = TrainingNetwork(vocabulary.size, 2, embedding_dim=6, units=4, seed=1)
    model.build((None, None, None))
    recorder = Recorder()
    hyperparameters = Hyperparameters.check(HANClassifier(**{**SETTINGS, **changes}).get_params())
    weights = np.ones(len(corpus), np.float32)
    training = Examples(corpus, targets, weights)
    validation = training if held_out else Examples(corpus.take([]), targets[:0], weights[:0])
    history = Trainer(model, hyperparameters).fit(
        training, validation, hyperparameters, plan, rng=np.random.default_rng(0), callbacks=[recorder]
    )
    return model, recorder, history


def test_crossentropy_against_scikit_learn(rng):
    probabilities, targets = rng.dirichlet(np.ones(4), 50), rng.integers(0, 4, 50)
    plain = Crossentropy()(targets, probabilities)
    assert float(plain) == pytest.approx(log_loss(targets, probabilities, labels=range(4)), rel=1e-5)
    smoothed = Crossentropy(0.2)(targets, tf.constant(probabilities))
    spread = 0.8 * np.eye(4)[targets] + 0.2 / 4
    assert float(smoothed) == pytest.approx(-(spread * np.log(probabilities)).sum(axis=1).mean(), rel=1e-5)


def test_macro_f1_against_scikit_learn(rng):
    metric = MacroF1(4)
    targets, probabilities = rng.integers(0, 3, 60), rng.dirichlet(np.ones(4), 60)  # no document is of class 3
    weights = rng.integers(0, 3, 60)
    for part in np.split(np.arange(60), 4):
        metric.update_state(targets[part], probabilities[part], weights[part])
    expected = f1_score(
        targets, probabilities.argmax(axis=1), labels=range(4), average="macro", sample_weight=weights, zero_division=0
    )
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("held_out", [True, False])
def test_averages_are_used_for_validation_and_kept_but_not_trained_from(documents, held_out):
    _, before, _ = run(documents, held_out)
    model, recorder, _ = run(documents, held_out, averaging=0.9)
    # Averaging does not change the steps, because the averages are swapped in between epochs only.
    np.testing.assert_allclose(np.concatenate([w.ravel() for w in recorder.steps[-1]]),
                               np.concatenate([w.ravel() for w in before.steps[-1]]), atol=1e-6)  # fmt: skip
    steps_per_epoch = (len(recorder.steps) - 1) // 3
    averages, updates = recorder.steps[0], 0
    for step, weights in enumerate(recorder.steps[1:]):
        if step % steps_per_epoch % 4 == 0:
            updates += 1
            kept = min(0.9**4, updates / (updates + 10))
            averages = [kept * average + (1 - kept) * weight for average, weight in zip(averages, weights, strict=True)]
        if step % steps_per_epoch == steps_per_epoch - 1:
            epoch = step // steps_per_epoch
            for seen in [recorder.at_end[epoch], *([recorder.validated[epoch]] if held_out else [])]:
                for average, weight in zip(averages, seen, strict=True):
                    np.testing.assert_allclose(weight, average, atol=1e-6)
    if not held_out:
        for average, weight in zip(averages, model.trainable_variables, strict=True):
            np.testing.assert_allclose(weight, average, atol=1e-6)


def test_a_delayed_embedding_is_frozen_for_the_first_epoch_only(documents):
    _, recorder, _ = run(documents, embedding_training="delay")
    steps = (len(recorder.steps) - 1) // 3
    tables = [weights[0] for weights in recorder.steps]
    assert tables[0].shape[1] == 6
    np.testing.assert_array_equal(tables[steps], tables[0])
    assert not np.array_equal(tables[steps + 1], tables[0])
    others = [weights[1] for weights in recorder.steps]
    assert not np.array_equal(others[1], others[0])


def test_the_number_of_epochs(documents):
    assert len(run(documents, epochs=2)[2]["loss"]) == 2


@pytest.mark.parametrize(
    ("steps", "classes", "epochs"),
    [(2, 2, 40), (9, 2, 23), (1000, 2, 10), (40, 5, 11), (200, 20, 19), (200, 90, 40)],
)
def test_the_automatic_number_of_epochs(steps, classes, epochs):
    assert _epochs("auto", steps, classes) == epochs


@pytest.mark.parametrize("monitor", ["accuracy", "macro_f1"])
def test_the_weights_of_the_best_monitored_result_are_kept(documents, monitor):
    model, recorder, history = run(documents, monitor=monitor, epochs=6, learning_rate=0.003)
    best = int(np.argmax(history[f"val_{monitor}"]))
    for weight, kept in zip(model.trainable_variables, recorder.at_end[best], strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_clipping_bounds_the_first_step(documents):
    # Adam's first step does not depend on the scale of the gradient, but its second moments do.
    model, _, _ = run(documents, epochs=1, clipnorm=1e-6)
    moments = [np.array(v) for v in model.optimizer.variables if "velocity" in v.path]
    assert sum(moment.sum() for moment in moments) <= 5 * (1e-6) ** 2 * 1.01


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_the_multi_label_loss_is_the_sum_of_binary_losses(rng, label_smoothing):
    targets, probabilities = rng.integers(0, 2, (6, 4)).astype(np.float32), rng.uniform(0.05, 0.95, (6, 4))
    smooth = targets * (1 - label_smoothing) + label_smoothing / 2
    expected = -(smooth * np.log(probabilities) + (1 - smooth) * np.log(1 - probabilities)).sum(axis=1)
    found = Crossentropy(label_smoothing, multi_label=True).call(targets, tf.constant(probabilities, tf.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_multi_label_macro_f1_against_scikit_learn(rng):
    targets, probabilities = rng.integers(0, 2, (30, 4)), rng.random((30, 4))
    metric = MacroF1(4, multi_label=True)
    metric.update_state(targets.astype(np.float32), probabilities.astype(np.float32))
    assert float(metric.result()) == pytest.approx(f1_score(targets, probabilities > 0.5, average="macro"), abs=1e-6)


@pytest.mark.parametrize("parts", [Parts(1, 1, 25), Parts(1, 1, 6, most_grouped=4)], ids=["documents", "sentences"])
def test_training_in_parts_gives_the_same_weights(documents, parts):
    plain, _, expected = run(documents, epochs=1, averaging=0.9)
    model, recorder, history = run(documents, epochs=1, averaging=0.9, plan=TrainingPlan(parts, prediction_words=20))
    for weight, other in zip(model.trainable_variables, plain.trainable_variables, strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-5)
    assert np.abs(recorder.steps[-1][0] - recorder.steps[0][0]).max() > 1e-3
    for name, values in expected.items():
        assert history[name] == pytest.approx(values, rel=1e-4)
