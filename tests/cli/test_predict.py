"""`han predict`, from files and pipes to files and pipes."""

from __future__ import annotations

import io
import json
import os
import subprocess

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from han import HANClassifier
from tests.cli.test_cli import HAN, run

GOOD, BAD = "A good film.", "A bad film."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    settings = {"embedding_dim": 4, "units": 2, "epochs": 4, "learning_rate": 0.05, "random_state": 0, "verbose": 0}
    HANClassifier(**settings).fit([GOOD, BAD] * 20, ["good", "bad"] * 20).save(folder)
    return str(folder)


@pytest.fixture
def predict(model, tmp_path):
    """A function that runs `han predict` on files in a folder, and returns the result."""

    def call(*arguments, **files):
        for name, content in files.items():
            (tmp_path / name.replace("_", ".")).write_text(content, encoding="utf-8", newline="")
        return run("predict", model, *arguments, "--quiet", folder=tmp_path)

    return call


def predictions(lines):
    return [json.loads(line)["prediction"] for line in lines.splitlines()]


def test_values_of_json_lines_stay_as_they_are_written(predict):
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
def test_a_column_that_is_null_at_first_gets_its_type_from_later_rows(late, kind, predict, tmp_path):
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


def test_parquet_becomes_json_lines_and_csv(predict, tmp_path):
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


def test_files_of_parquet_and_others_make_no_parquet(predict, tmp_path):
    pd.DataFrame({"text": [GOOD]}).to_parquet(tmp_path / "in.parquet")
    result = predict("in.parquet", "in.csv", "--output", "out.parquet", in_csv=f"text\n{GOOD}\n")
    assert result.returncode == 2
    assert "FILES must be all in Parquet, or none of them" in result.stderr


def test_columns_of_several_files_are_those_of_all(predict):
    result = predict("a.csv", "b.tsv", a_csv=f"text,x\n{GOOD},1\n", b_tsv=f'y\ttext\n2\t"{BAD}\n')
    rows = pd.read_csv(io.StringIO(result.stdout), dtype=str, keep_default_na=False)
    assert rows[["text", "x", "y", "prediction"]].to_numpy().tolist() == [
        [GOOD, "1", "", "good"],
        [f'"{BAD}', "", "2", "bad"],
    ]


def test_a_row_of_json_with_new_columns_goes_into_a_file_of_csv(predict, tmp_path):
    lines = f'{{"text": "{GOOD}"}}\n' * 4100 + f'{{"text": "{BAD}", "late": 1.50}}\n'
    assert predict("in.jsonl", "--output", "out.csv", in_jsonl=lines).returncode == 0
    found = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert found["late"].tolist() == [""] * 4100 + ["1.50"]
    streamed = predict("in.jsonl", "--output-format", "csv")
    assert streamed.returncode == 2
    assert "in.jsonl: line 4101 has the column 'late', which the first rows do not have" in streamed.stderr


BAD_ROWS = {
    "in.jsonl": (f'{{"text": "{GOOD}"}}\n{{"text": "{BAD}"}}\n\n{{"text": 7}}\n{{"text": "{GOOD}"}}\n',
                 "in.jsonl: line 4 must hold a text in 'text', got 7"),
    "in.ndjson": (f'{{"text": "{GOOD}"}}\n{{"text": "{BAD}"}}\n{{"txt": "x"}}\n{{"text": "{GOOD}"}}\n',
                  "in.ndjson: line 3 must have the text 'text' (--text), got ['txt']"),
    "in.csv": (f'text,id\n{GOOD},1\n"{BAD}\n",2\nx,3,4\n{GOOD},5\n', "in.csv: line 5 has 3 fields"),
    "in.tsv": (f"text\tid\n{GOOD}\t1\n{BAD}\t2\nx\n{GOOD}\t5\n", "in.tsv: line 4 has 1 field"),
    "in.json": (f'[{{"text": "{GOOD}"}}, {{"text": "{BAD}"}}, 3, {{"text": "{GOOD}"}}]', "in.json: row 3 must hold"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_and_the_rows_before_it_are_kept(name, predict, tmp_path):
    content, message = BAD_ROWS[name]
    (tmp_path / "out.jsonl").write_text("old")
    result = predict(name, "--output", "out.jsonl", **{name.replace(".", "_"): content})
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.endswith("; the 2 rows before it are in out.part.jsonl\n")
    assert len(result.stderr.splitlines()) == 1
    assert (tmp_path / "out.jsonl").read_text() == "old"
    assert predictions((tmp_path / "out.part.jsonl").read_text()) == ["good", "bad"]
    assert predictions(predict(name, "--output-format", "jsonl").stdout) == ["good", "bad"]


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_are_skipped_and_counted(name, predict):
    content, message = BAD_ROWS[name]
    result = predict(
        name, "--skip-bad-rows", "--output-format", "jsonl", **{name.replace(".", "_"): content}
    )  # fmt: skip
    assert result.returncode == 0
    assert predictions(result.stdout) == ["good", "bad", "good"]
    assert "skipped 1 bad row, on" in result.stderr
    unit, number = message.split()[1:3]
    assert f"on {unit} {number}" in result.stderr


def test_a_bad_row_of_parquet_is_named_and_skipped(predict, tmp_path):
    lists = pa.array([[GOOD], [None], [BAD, BAD]], pa.list_(pa.string()))
    pq.write_table(pa.table({"text": lists, "map": pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int8()))}),
                   tmp_path / "in.parquet")  # fmt: skip
    refused = predict("in.parquet", "--output", "out.parquet")
    assert "in.parquet: row 2 must hold a text in 'text', got [None]" in refused.stderr
    assert pq.read_table(tmp_path / "out.part.parquet")["prediction"].to_pylist() == ["good"]
    result = predict("in.parquet", "--output", "out.parquet", "--skip-bad-rows")
    assert result.returncode == 0
    assert pq.read_table(tmp_path / "out.parquet")["text"].to_pylist() == [[GOOD], [BAD, BAD]]
    assert "skipped 1 bad row, on row 2" in result.stderr


def test_new_columns_do_not_take_the_place_of_others_unless_asked_to(predict, tmp_path):
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
        (["--output", "out.csv", "--output-format", "jsonl"], "--output must not end in .csv where --output-format is"),
        (["--output", "nowhere/out.csv"], "nowhere/out.csv"),
        (["--text", "txt"], "got 'txt', did you mean 'text'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_before_the_model_is_loaded(arguments, message, tmp_path):
    (tmp_path / "in.csv").write_text("text\nx\n")
    result = run("predict", "no-model", "in.csv", *arguments, folder=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_table_without_rows_gets_the_new_columns(predict, tmp_path):
    assert predict("in.csv", in_csv="id,text\n").stdout == "id,text,prediction,probability\n"
    pq.write_table(pa.schema([("text", pa.string()), ("n", pa.uint8())]).empty_table(), tmp_path / "in.parquet")
    assert predict("in.parquet", "--output", "out.parquet").returncode == 0
    assert pq.read_schema(tmp_path / "out.parquet").types == [pa.string(), pa.uint8(), pa.string(), pa.float64()]


def piped(model, *arguments, text, **options):
    return subprocess.run(  # noqa: S603
        [HAN, "predict", model, "--quiet", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize(
    ("text", "expected", "remark"),
    [
        (f'{{"text": "{GOOD}"}}\n{{"text": "{BAD}"}}\n', ["good", "bad"], "read as jsonl"),
        (f"id,text\n1,{GOOD}\n2,{BAD}\n", ["good", "bad"], "read as csv"),
        (f"{BAD}\nId, text\n", ["bad"], "read as one document of 2 lines; --input-format csv reads a table"),
    ],
)
def test_a_piped_table_is_told_from_a_document(text, expected, remark, model):
    result = piped(model, "--output-format", "jsonl", text=text)
    assert predictions(result.stdout) == expected
    assert f"standard input: {remark}" in result.stderr


def test_a_piped_document_of_one_line_needs_no_words(model):
    result = piped(model, text=GOOD)
    assert "good" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_pipe_gets_answers_when_it_pauses(form, model):
    header, row = {"jsonl": ("", '{{"id": {}, "text": "A good film."}}\n'), "csv": ("id,text\n", "{},A good film.\n")}[
        form
    ]
    command = [HAN, "predict", model, "--input-format", form, "--output-format", "jsonl", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:  # noqa: S603
        process.stdin.write(header)
        for number in range(3):
            process.stdin.write(row.format(number))
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())  # and nothing more is written before that
            assert (str(answer["id"]), answer["prediction"]) == (str(number), "good")
        process.stdin.close()
        assert process.stdout.read() == ""
    assert process.returncode == 0


def test_a_named_pipe_without_an_ending_is_looked_at(model):
    shell = f"""{HAN} predict {model} --quiet <(printf 'id\\ttext\\n1\\t{GOOD}\\n')"""
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)  # noqa: S603, S607
    assert result.stdout.splitlines()[0] == "id\ttext\tprediction\tprobability"
    assert "read as tsv" in result.stderr


def test_parquet_comes_through_pipes(model):
    content = io.BytesIO()
    pd.DataFrame({"text": [GOOD, BAD], "n": pd.array([1, None], "UInt8")}).to_parquet(content)
    result = subprocess.run(  # noqa: S603
        [HAN, "predict", model, "--quiet"], input=content.getvalue(), capture_output=True, check=True
    )
    table = pq.read_table(io.BytesIO(result.stdout))
    assert table.schema.field("n").type == pa.uint8()
    assert table["prediction"].to_pylist() == ["good", "bad"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused_before_the_model_is_loaded(tmp_path):
    (tmp_path / "in.csv").write_text("text\nx\n")
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "locked" in run("predict", "no-model", "in.csv", "--output", "locked/out.csv", folder=tmp_path).stderr
