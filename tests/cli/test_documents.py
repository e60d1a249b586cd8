"""The documents of `han predict`: text files, tables and pipes, and their bad rows."""

from __future__ import annotations

import io
import json
import subprocess

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.running import BAD, GOOD, HAN, predictions, run


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
    ("text", "expected", "note"),
    [
        (f'{{"text": "{GOOD}"}}\n{{"text": "{BAD}"}}\n', ["good", "bad"], "read as jsonl"),
        pytest.param(f"id,text\n1,{GOOD}\n2,{BAD}\n", ["good", "bad"], "read as csv", marks=pytest.mark.slow),
        pytest.param(
            f"{BAD}\nId, text\n",
            ["bad"],
            "read as one document of 2 lines; to read a table, use --input-format csv",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_piped_tables_and_documents_are_distinguished(text, expected, note, model):
    result = piped(model, "--output-format", "jsonl", text=text)
    assert predictions(result.stdout) == expected
    assert f"standard input: {note}" in result.stderr


@pytest.mark.slow
def test_a_piped_document_of_one_line_is_read_without_a_note(model):
    result = piped(model, text=GOOD)
    assert "good" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("input_format", [pytest.param("jsonl", marks=pytest.mark.slow), "csv"])
def test_predictions_are_written_when_a_pipe_pauses(input_format, model):
    header, row = {"jsonl": ("", '{{"id": {}, "text": "A good film."}}\n'), "csv": ("id,text\n", "{},A good film.\n")}[
        input_format
    ]
    command = [HAN, "predict", model, "--input-format", input_format, "--output-format", "jsonl", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:  # noqa: S603
        process.stdin.write(header)
        for number in range(3):
            process.stdin.write(row.format(number))
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())  # before anything else is written to the pipe
            assert (str(answer["id"]), answer["prediction"]) == (str(number), "good")
        process.stdin.close()
        assert process.stdout.read() == ""
    assert process.returncode == 0


@pytest.mark.slow
def test_the_format_of_a_named_pipe_is_detected(model):
    shell = f"""{HAN} predict {model} --quiet <(printf 'id\\ttext\\n1\\t{GOOD}\\n')"""
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)  # noqa: S603, S607
    assert result.stdout.splitlines()[0] == "id\ttext\tprediction\tprobability"
    assert "read as tsv" in result.stderr


@pytest.mark.slow
def test_parquet_is_read_from_and_written_to_pipes(model):
    content = io.BytesIO()
    pd.DataFrame({"text": [GOOD, BAD], "n": pd.array([1, None], "UInt8")}).to_parquet(content)
    result = subprocess.run(  # noqa: S603
        [HAN, "predict", model, "--quiet"], input=content.getvalue(), capture_output=True, check=True
    )
    table = pq.read_table(io.BytesIO(result.stdout))
    assert table.schema.field("n").type == pa.uint8()
    assert table["prediction"].to_pylist() == ["good", "bad"]


BAD_ROWS = {
    "in.jsonl": (f'{{"text": "{GOOD}"}}\n{{"text": "{BAD}"}}\n\n{{"text": 7}}\n{{"text": "{GOOD}"}}\n',
                 "in.jsonl: line 4 must have a text in 'text', got 7"),
    "in.ndjson": (f'{{"text": "{GOOD}"}}\n{{"text": "{BAD}"}}\n{{"txt": "x"}}\n{{"text": "{GOOD}"}}\n',
                  "in.ndjson: line 3 must have the column 'text' (--text), got ['txt']"),
    "in.csv": (f'text,id\n{GOOD},1\n"{BAD}\n",2\nx,3,4\n{GOOD},5\n', "in.csv: line 5 has 3 fields"),
    "in.tsv": (f"text\tid\n{GOOD}\t1\n{BAD}\t2\nx\n{GOOD}\t5\n", "in.tsv: line 4 has 1 field"),
    "in.json": (f'[{{"text": "{GOOD}"}}, {{"text": "{BAD}"}}, 3, {{"text": "{GOOD}"}}]', "in.json: row 3 must be"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_an_error_names_the_bad_row_and_the_rows_before_it_are_kept(name, predict, tmp_path):
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
def test_bad_rows_can_be_skipped(name, predict):
    content, message = BAD_ROWS[name]
    result = predict(
        name, "--skip-bad-rows", "--output-format", "jsonl", **{name.replace(".", "_"): content}
    )  # fmt: skip
    assert result.returncode == 0
    assert predictions(result.stdout) == ["good", "bad", "good"]
    assert "skipped 1 bad row, on" in result.stderr
    unit, number = message.split()[1:3]
    assert f"on {unit} {number}" in result.stderr


def test_bad_rows_of_parquet(predict, tmp_path):
    lists = pa.array([[GOOD], [None], [BAD, BAD]], pa.list_(pa.string()))
    pq.write_table(pa.table({"text": lists, "map": pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int8()))}),
                   tmp_path / "in.parquet")  # fmt: skip
    refused = predict("in.parquet", "--output", "out.parquet")
    assert "in.parquet: row 2 must have a text in 'text', got [None]" in refused.stderr
    assert pq.read_table(tmp_path / "out.part.parquet")["prediction"].to_pylist() == ["good"]
    result = predict("in.parquet", "--output", "out.parquet", "--skip-bad-rows")
    assert result.returncode == 0
    assert pq.read_table(tmp_path / "out.parquet")["text"].to_pylist() == [[GOOD], [BAD, BAD]]
    assert "skipped 1 bad row, on row 2" in result.stderr


def test_null_is_an_empty_text_and_other_values_are_rejected(saved, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": null}\n{"text": ["Split.", "Already."]}\n')
    result = run("predict", str(saved / "model"), "in.jsonl", "--quiet", folder=tmp_path)
    assert [json.loads(line)["prediction"] in ("business", "sports") for line in result.stdout.splitlines()] == [
        True
    ] * 2
    (tmp_path / "in.jsonl").write_text('{"text": 7}\n')
    result = run("predict", str(saved / "model"), "in.jsonl", "--quiet", folder=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("han: in.jsonl: line 1 must have a text in 'text', got 7; ")
    (tmp_path / "in.docx").write_text("")
    assert (
        "in.docx must end in one of .txt, .csv"
        in run("predict", str(saved / "model"), "in.docx", folder=tmp_path).stderr
    )


def test_each_text_file_is_a_row(saved):
    result = run("predict", "model", "one.txt", "two.txt", "--drop-text", "--quiet", folder=saved)
    rows = pd.read_csv(io.StringIO(result.stdout))
    assert rows["file"].tolist() == ["one.txt", "two.txt"]
