"""The card of a saved classifier: what its users are to know, with front matter for the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from han import __version__
from han.backend import keras, tf

# Classes named in the card's table.
MOST_CLASSES = 100


def model_card(facts: Mapping[str, Any], language: str, data: str | None, scores: Mapping[str, float]) -> str:
    """Return a card in Markdown.

    Parameters
    ----------
    facts : mapping
        What `HANClassifier.describe` returns.
    language : str
        ISO 639 code of the documents' language.
    data : str or None
        What the training data is called.
    scores : mapping of str to float
        What was measured on test documents; may be empty.
    """
    sections = [
        _front_matter(language, data, scores),
        "# Document classifier\n\n"
        'A hierarchical attention network (Yang et al. 2016, "Hierarchical attention networks for document '
        f'classification") trained by han {__version__} on TensorFlow {tf.__version__} and Keras '
        f"{keras.__version__}: words are read by a bidirectional recurrent network and pooled by attention into "
        "sentence vectors, these likewise into a document vector, and that into probabilities"
        + (", with a linear model of words and word pairs beside it." if facts["ngrams"] else "."),
        "## Use\n\n```python\nfrom han import HANClassifier\n\n"
        'classifier = HANClassifier.load("this folder")\nclassifier.predict(["A document."])\n'
        'classifier.explain(["A document."])  # what it looked at\n```',
        _data(facts, data),
        _measured(facts, scores),
        _sizes(facts),
        LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


LIMITS = """## Limits

- It knows the words of its training documents; of others it knows only that they are there. Documents of another kind,
  place or time than those may be classified worse than measured, and nothing in its answers tells.
- Attention says where the network looked, not why it decided. On film reviews the other methods of `explain` proved
  more faithful; how it is for this classifier, `han.faithfulness` measures.
- A probability is worth what its calibration is: see the calibration error above, if it was measured, and train with
  `calibrate=True` where probabilities matter.
- Whatever the labels of the training documents were unfair about, this has learned."""


def _front_matter(language: str, data: str | None, scores: Mapping[str, float]) -> str:
    """Return YAML between two lines of dashes; strings are quoted as JSON does it, which is YAML too."""
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
        # The Hub's results need a data set, if only a name.
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
    name = "Documents" if data is None else f"Documents of `{data}`"
    each = "any number of classes" if facts["multi_label"] else "one class"
    text = f"## Data\n\n{name}: {facts['training_documents']:,} to train on, each of {each}"
    rows = [f"| {_cell(label)} | {count:,} |" for label, count in classes[:MOST_CLASSES]]
    more = f"\n\nand {len(classes) - MOST_CLASSES:,} more classes." if len(classes) > MOST_CLASSES else ""
    return f"{text}.\n\n| class | documents |\n|---|---|\n" + "\n".join(rows) + more


def _measured(facts: Mapping[str, Any], scores: Mapping[str, float]) -> str:
    text = "## Measured"
    if scores:
        text += "\n\n| on test documents | |\n|---|---|\n" + _rows(scores)
    if "validation" in facts:
        text += "\n\n| the network alone, on documents held out of the training | |\n|---|---|\n"
        text += _rows(facts["validation"])
    return text if "|" in text else text + "\n\nNothing was measured."


def _sizes(facts: Mapping[str, Any]) -> str:
    sizes = {name: facts[name] for name in ("known_words", "ngrams", "weights", "epochs")}
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value:,} |" for name, value in sizes.items())
    return f"## Sizes\n\n| | |\n|---|---|\n{rows}\n\nAll hyper-parameters are in `settings.json`."


def _rows(scores: Mapping[str, float]) -> str:
    return "\n".join(f"| {name.replace('_', ' ')} | {value:.4f} |" for name, value in scores.items())


def _cell(label: str) -> str:
    """Return a class as a table can hold it."""
    return " ".join(label.replace("\\", "\\\\").replace("|", "\\|").split())
