from __future__ import annotations

import yaml

from han.saving.card import model_card


def front_matter(card):
    _, matter, text = card.split("---\n", 2)
    return yaml.safe_load(matter), text


def facts(**changes):
    sizes = {"training_documents": 5, "known_words": 7, "ngrams": 0, "weights": 1234, "epochs": 2}
    return {"classes": {"good": 3, "bad": 2}, "multi_label": False, **sizes, **changes}


def test_front_matter_is_yaml_with_the_scores():
    scores = {"accuracy": 0.875, "log_loss": 1e-7}
    card = model_card(facts(), "de-AT", 'films: "new"', scores)
    matter, text = front_matter(card)
    assert (matter["pipeline_tag"], matter["language"]) == ("text-classification", "de")
    (result,) = matter["model-index"][0]["results"]
    assert result["dataset"]["name"] == 'films: "new"'
    assert {metric["type"]: float(metric["value"]) for metric in result["metrics"]} == {
        "accuracy": 0.875,
        "log_loss": 1e-7,
    }
    assert "| accuracy | 0.8750 |" in text


def test_without_scores_there_are_no_results():
    matter, text = front_matter(model_card(facts(), "no", None, {}))
    assert "model-index" not in matter
    assert matter["language"] == "no"
    assert "The classifier was not evaluated." in text
    assert "| good | 3 |" in text
    assert "1,234" in text


def test_tables_escape_classes_and_are_limited():
    text = model_card(facts(classes={"a|b\nc": 1, **{f"class {n}": n for n in range(200)}}), "en", None, {})
    assert "| a\\|b c | 1 |" in text
    assert "and 101 more classes." in text


def test_save_writes_a_card(fitted, tmp_path):
    fitted.save(tmp_path / "model", data="bbc-news", scores={"accuracy": 0.5})
    matter, text = front_matter((tmp_path / "model" / "README.md").read_text(encoding="utf-8"))
    assert matter["model-index"][0]["results"][0]["metrics"] == [{"type": "accuracy", "value": 0.5}]
    assert "80 training documents of `bbc-news`, each with one class." in text
    assert "| business | 40 |" in text
    fitted.save(tmp_path / "model")
    assert "model-index" not in front_matter((tmp_path / "model" / "README.md").read_text(encoding="utf-8"))[0]
