"""`han predict`."""

from __future__ import annotations

import io
import json
import os
import subprocess

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from han import HANClassifier
from tests.cli.running import BAD, GOOD, HAN, predictions, run


def test_values_of_json_lines_keep_their_spelling(predict):
    lines = [
        '{"text":"A good film.","a":1e5,"b":1.0,"c":12345678901234567890,"a":NaN}',
        '{"text" : "A bad film.", "late": [1, 2.50] }',
    ]
    result = predict("in.jsonl", in_jsonl="\r\n".join(lines))
    assert (result.returncode, result.stderr) == (0, "")
    found = result.stdout.splitlines()
    assert [line.partition(', "prediction": ')[0] for line in found] == [line.rstrip(" }") for line in lines]
    assert predictions(result.stdout) == ["good", "bad"]


@pytest.mark.parametrize(
    ("late", "kind"), [('["x"]', pa.list_(pa.string())), ("1.5", pa.float64()), ('"x"', pa.string())]
)
def test_types_of_columns_are_inferred_from_all_rows(late, kind, predict, tmp_path):
    lines = [*(f'{{"text": "{GOOD}", "note": null}}' for _ in range(4200)), f'{{"text": "{BAD}", "note": {late}}}']
    assert predict("in.jsonl", "--output", "out.parquet", in_jsonl="\n".join(lines)).returncode == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert str(table.schema.field("note").type).replace("element", "item") == str(kind)
    assert table["note"].to_pylist() == [None] * 4200 + [json.loads(late)]
    assert table["prediction"].to_pylist() == ["good"] * 4200 + ["bad"]


def test_parquet_keeps_its_schema(predict, tmp_path):
    schema = pa.schema(
        [
            pa.field("text", pa.dictionary(pa.int8(), pa.large_string())),
            pa.field("id", pa.uint16(), nullable=False),
            pa.field("map", pa.map_(pa.string(), pa.date32())),
            pa.field("none", pa.null(), metadata={"k": "v"}),
        ],
        {"origin": "here"},
    )
    rows = [{"text": text, "id": n, "map": [("a", n)] * n, "none": None} for n, text in enumerate([GOOD, BAD, None])]
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "in.parquet", row_group_size=2)
    assert predict("in.parquet", "--output", "out.parquet", "--probabilities").returncode == 0
    before, after = (pq.ParquetFile(tmp_path / f"{name}.parquet") for name in ("in", "out"))
    names = ["prediction", "probability", "probability_bad", "probability_good"]
    new = [pa.field(name, pa.float64() if name != "prediction" else pa.string()) for name in names]
    expected = pa.schema([*before.schema_arrow, *new], {"origin": "here"})
    assert after.schema_arrow.equals(expected, check_metadata=True)
    assert after.read().drop_columns(names).equals(before.read())
    assert after.read()["prediction"].to_pylist()[:2] == ["good", "bad"]
    assert predict("in.parquet", "--output", "out.parquet", "--drop-text", "--overwrite").returncode == 0
    assert pq.ParquetFile(tmp_path / "out.parquet").schema_arrow.names == ["id", "map", "none", *names[:2]]


def test_parquet_is_converted_to_json_lines_and_csv(predict, tmp_path):
    schema = pa.schema([("text", pa.string()), ("day", pa.date32()), ("map", pa.map_(pa.string(), pa.int8()))])
    pq.write_table(
        pa.Table.from_pylist([{"text": GOOD, "day": 19000, "map": [("a", 1)]}], schema), tmp_path / "in.parquet"
    )
    row = json.loads(predict("in.parquet", "--output-format", "jsonl").stdout)
    assert (row["day"], row["map"], row["prediction"]) == ("2022-01-08", [["a", 1]], "good")
    assert (
        predict("in.parquet", "--output-format", "csv")
        .stdout.splitlines()[1]
        .startswith(f'{GOOD},2022-01-08,"[[""a"", 1]]",good,')
    )


def test_parquet_and_other_files_cannot_be_combined_into_parquet(predict, tmp_path):
    pd.DataFrame({"text": [GOOD]}).to_parquet(tmp_path / "in.parquet")
    result = predict("in.parquet", "in.csv", "--output", "out.parquet", in_csv=f"text\n{GOOD}\n")
    assert result.returncode == 2
    assert "FILES must be all in Parquet, or none of them" in result.stderr


def test_the_output_has_the_columns_of_all_files(predict):
    result = predict("a.csv", "b.tsv", a_csv=f"text,x\n{GOOD},1\n", b_tsv=f'y\ttext\n2\t"{BAD}\n')
    rows = pd.read_csv(io.StringIO(result.stdout), dtype=str, keep_default_na=False)
    assert rows[["text", "x", "y", "prediction"]].to_numpy().tolist() == [
        [GOOD, "1", "", "good"],
        [f'"{BAD}', "", "2", "bad"],
    ]


def test_new_columns_in_later_json_rows_are_written_to_csv_files(predict, tmp_path):
    lines = f'{{"text": "{GOOD}"}}\n' * 4100 + f'{{"text": "{BAD}", "late": 1.50}}\n'
    assert predict("in.jsonl", "--output", "out.csv", in_jsonl=lines).returncode == 0
    found = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert found["late"].tolist() == [""] * 4100 + ["1.50"]
    streamed = predict("in.jsonl", "--output-format", "csv")
    assert streamed.returncode == 2
    assert "in.jsonl: line 4101 has the column 'late', which is not in the first rows" in streamed.stderr


def test_existing_columns_are_only_replaced_with_overwrite(predict, tmp_path):
    content = f"id,prediction,text\n1,old,{GOOD}\n"
    result = predict("in.csv", "--output", "out.csv", in_csv=content)
    assert result.returncode == 2
    assert "in.csv must not have a column 'prediction'" in result.stderr
    assert not (tmp_path / "out.csv").exists()
    assert predict("in.csv", "--overwrite").stdout.splitlines()[0] == "id,text,prediction,probability"
    rows = pd.read_csv(io.StringIO(predict("in.csv", "--prefix", "han_").stdout))
    assert [*rows] == ["id", "prediction", "text", "han_prediction", "han_probability"]
    assert rows.loc[0, ["prediction", "han_prediction"]].tolist() == ["old", "good"]


def test_text_columns_are_joined(predict, model):
    result = predict("in.csv", "--text", "title", "--text", "body", in_csv=f"title,body\n{GOOD},{BAD}\n,{BAD}\n")
    expected = HANClassifier.load(model).predict_proba([f"{GOOD}\n\n{BAD}", BAD]).max(axis=1)
    assert pd.read_csv(io.StringIO(result.stdout))["probability"].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "out.pdf"], "--output must end in .csv, .tsv, .jsonl, .ndjson, .parquet"),
        (["--output", "out.csv", "--output-format", "jsonl"], "--output must not end in .csv if --output-format is"),
        (["--output", "nowhere/out.csv"], "nowhere/out.csv"),
        (["--text", "txt"], "got 'txt', did you mean 'text'?"),
    ],
)  # fmt: skip
def test_invalid_arguments_are_rejected_before_the_model_is_loaded(arguments, message, tmp_path):
    (tmp_path / "in.csv").write_text("text\nx\n")
    result = run("predict", "no-model", "in.csv", *arguments, folder=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_table_without_rows_has_the_new_columns(predict, tmp_path):
    assert predict("in.csv", in_csv="id,text\n").stdout == "id,text,prediction,probability\n"
    pq.write_table(pa.schema([("text", pa.string()), ("n", pa.uint8())]).empty_table(), tmp_path / "in.parquet")
    assert predict("in.parquet", "--output", "out.parquet").returncode == 0
    assert pq.read_schema(tmp_path / "out.parquet").types == [pa.string(), pa.uint8(), pa.string(), pa.float64()]


@pytest.mark.skipif(os.name == "nt", reason="uses chmod, which does not protect folders on Windows")
def test_a_folder_that_is_not_writable_is_rejected_before_the_model_is_loaded(open_folder, request):
    (open_folder / "in.csv").write_text("text\nx\n")
    (open_folder / "locked").mkdir(mode=0o555)
    request.getfixturevalue("as_any_user")
    assert "locked" in run("predict", "no-model", "in.csv", "--output", "locked/out.csv", folder=open_folder).stderr


@pytest.mark.parametrize("file_format", ["csv", "tsv", "jsonl", "parquet"])
def test_predictions_are_added_to_rows_in_order(file_format, saved, table, fitted, tmp_path):
    write = {
        "csv": lambda path: table.to_csv(path, index=False),
        "tsv": lambda path: table.to_csv(path, index=False, sep="\t"),
        "jsonl": lambda path: table.to_json(path, orient="records", lines=True),
        "parquet": table.to_parquet,
    }[file_format]
    read = {"tsv": lambda path: pd.read_csv(path, sep="\t"), "jsonl": lambda path: pd.read_json(path, lines=True)}
    write(tmp_path / f"in.{file_format}")
    command = [
        "predict",
        str(saved / "model"),
        f"in.{file_format}",
        "--output",
        f"out.{file_format}",
        "--probabilities",
    ]
    result = run(*command, folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")
    assert "30 documents" in result.stderr
    found = read.get(file_format, getattr(pd, f"read_{file_format}", None))(tmp_path / f"out.{file_format}")
    pd.testing.assert_frame_equal(found[["id", "text", "topic"]], table, check_dtype=False)
    assert found["prediction"].tolist() == fitted.predict(table["text"]).tolist()
    probabilities = fitted.predict_proba(table["text"])
    np.testing.assert_allclose(found[["probability_business", "probability_sports"]], probabilities, atol=1e-6)
    np.testing.assert_allclose(found["probability"], probabilities.max(axis=1), atol=1e-6)


def test_predict_works_in_a_pipeline(saved, table):
    content = pd.concat([table] * 300).to_json(orient="records", lines=True)
    shell = f"{HAN} predict model --input-format jsonl --drop-text --quiet | head -2"
    result = subprocess.run(shell, shell=True, cwd=saved, input=content, capture_output=True, text=True, check=True)  # noqa: S602
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows] == [0, 1]
    assert {*rows[0]} == {"id", "topic", "prediction", "probability"}
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("id,body\n1,x\n", [], "text must be a column of in.csv, got 'text'; its columns are 'id', 'body'"),
        ("text,prediction\nx,1\n", [], "in.csv must not have a column 'prediction'"),
        ("text\nx\n", ["--output", "nowhere/out.csv"], "no file can be written at"),
        ("text,id\nx,1,2\n", [], "in.csv: line 2 has 3 fields, expected 2"),
        ("text\nx\n", ["--output", "out.json"], "--output must end in .csv, .tsv, .jsonl, .ndjson, .parquet"),
    ],
)
def test_invalid_input_prints_one_line_and_writes_nothing(content, arguments, message, saved, tmp_path):
    (tmp_path / "in.csv").write_text(content)
    arguments = arguments or ["--output", "out.csv"]
    result = run("predict", str(saved / "model"), "in.csv", "--quiet", *arguments, folder=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
