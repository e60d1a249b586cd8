"""Model cards of saved classifiers, with front matter for the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from han import __version__
from han.backend import keras, tf

# The maximum number of classes in the table of a card.
MAX_CLASSES = 100


def model_card(facts: Mapping[str, Any], language: str, data: str | None, scores: Mapping[str, float]) -> str:
    """Return a model card in Markdown.

    Parameters
    ----------
    facts : mapping
        The result of `HANClassifier.describe`.
    language : str
        The ISO 639 code of the documents' language.
    data : str or None
        The name of the training data.
    scores : mapping of str to float
        Metrics on test documents; may be empty.
    """
    sections = [
        _front_matter(language, data, scores),
        "# Document classifier\n\n"
        "A hierarchical attention network (Yang et al. 2016, https://aclanthology.org/N16-1174/), trained with "
        f"han {__version__}, TensorFlow {tf.__version__} and Keras {keras.__version__}. A bidirectional recurrent "
        "network reads the words of each sentence, and attention pools them into a sentence vector. A second network "
        "and attention pool the sentence vectors into a document vector, from which the probabilities are computed"
        + (", together with a linear model of words and word pairs." if facts["ngrams"] else "."),
        "## Usage\n\n```python\nfrom han import HANClassifier\n\n"
        'classifier = HANClassifier.load("this folder")\nclassifier.predict(["A document."])\n'
        'classifier.explain(["A document."])  # scores of words and sentences\n```',
        _data(facts, data),
        _evaluation(facts, scores),
        _sizes(facts),
        LIMITATIONS,
    ]
    return "\n\n".join(sections) + "\n"


LIMITATIONS = """## Limitations

- All words outside the vocabulary (rarer than `min_count`, or beyond `max_vocabulary`) look the same to the classifier.
  On documents from other sources, regions or times, the accuracy may be lower than measured, and the probabilities may
  not show it.
- Attention weights indicate where the network looked, not what a prediction rests on: that is what the contributions
  show, the default of `explain`. `han.faithfulness` measures how faithful they are for a given classifier.
- Probabilities are only as good as their calibration: see the calibration error above, if it was measured, and train
  with `calibrate=True` if probabilities matter.
- The classifier reproduces any bias in the labels of the training documents."""


def _front_matter(language: str, data: str | None, scores: Mapping[str, float]) -> str:
    """Return the YAML front matter. Strings are quoted as in JSON, which is valid YAML."""
    lines = [
        "---",
        "library_name: han",
        "pipeline_tag: text-classification",
        f"language: {json.dumps(language.partition('-')[0])}",
        "tags:",
        "- text-classification",
        "- hierarchical-attention-network",
        "- keras",
        "- tensorflow",
    ]
    if scores:
        # The Hub requires a data set for each result.
        name = json.dumps(data or "test documents", ensure_ascii=False)
        lines += [
            "model-index:",
            "- name: han",
            "  results:",
            "  - task:",
            "      type: text-classification",
            "    dataset:",
            f"      name: {name}",
            f"      type: {name}",
            "    metrics:",
        ]
        for score, value in scores.items():
            lines += [f"    - type: {json.dumps(score)}", f"      value: {value:.6g}"]
    return "\n".join([*lines, "---"])


def _data(facts: Mapping[str, Any], data: str | None) -> str:
    classes = list(facts["classes"].items())
    source = "" if data is None else f" of `{data}`"
    each = "any number of classes" if facts["multi_label"] else "one class"
    text = f"## Data\n\n{facts['training_documents']:,} training documents{source}, each with {each}"
    rows = [f"| {_table_cell(label)} | {count:,} |" for label, count in classes[:MAX_CLASSES]]
    more = f"\n\nand {len(classes) - MAX_CLASSES:,} more classes." if len(classes) > MAX_CLASSES else ""
    return f"{text}.\n\n| class | documents |\n|---|---|\n" + "\n".join(rows) + more


def _evaluation(facts: Mapping[str, Any], scores: Mapping[str, float]) -> str:
    text = "## Evaluation"
    if scores:
        text += "\n\n| on test documents | |\n|---|---|\n" + _score_rows(scores)
    if "validation" in facts:
        text += "\n\n| the network alone, on validation documents | |\n|---|---|\n"
        text += _score_rows(facts["validation"])
    return text if "|" in text else text + "\n\nThe classifier was not evaluated."


def _sizes(facts: Mapping[str, Any]) -> str:
    sizes = {name: facts[name] for name in ("known_words", "ngrams", "weights", "epochs")}
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value:,} |" for name, value in sizes.items())
    return f"## Sizes\n\n| | |\n|---|---|\n{rows}\n\nAll hyper-parameters are in `settings.json`."


def _score_rows(scores: Mapping[str, float]) -> str:
    return "\n".join(f"| {name.replace('_', ' ')} | {value:.4f} |" for name, value in scores.items())


def _table_cell(label: str) -> str:
    """Escape a class for a table."""
    return " ".join(label.replace("\\", "\\\\").replace("|", "\\|").split())
