"""Tables for `han predict`, written by pandas and pyarrow in as many ways as files come.

NumPy makes up the cells and how they are written: delimiters, quotes, encodings, line ends, compression, numbers,
nulls, nested types, row groups.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import functools
import gzip
import json
import lzma
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = [0, 1, 2, 3, 5, 10, 20, 50, 5000]
SHARES = [0.04, 0.1, 0.15, 0.15, 0.15, 0.2, 0.1, 0.1, 0.01]
WORDS = ["good", "bad", "film", "dull", "don't", "3.5", "naïve", "the", "a", "of"]
ODD_WORDS = [
    '"',
    '"good"',
    ",",
    ";",
    "\t",
    "|",
    "\\",
    "\n",
    "\r\n",
    " ",
    "N/A",
    "null",
    "01",
    "1e5",
    "#",
    "",
    "x,y",
    "a\nb",
]
FOREIGN_WORDS = ["日本", "🙂", "हिन्दी", "\u2028", "\u200d"]
NAMES = ["id", "label", "Ünï", "a b", "x.y", "note", "0", "source", "Id", 'q"q', "a,b", "text2"]
VALUES = [
    "1", "1e5", "1.0", "-0.0", "12345678901234567890", "0.10000000000000000001", "1E400", "NaN", "null", "true", '"x"',
    '""', "[]", "{}", "[1, 2.50, null]", '{"a": {"b": [1e2]}, "a": 2}', r'"\u00e9\/"',
    r'"\ud83d"', '"\u2028"', '"a\\nb"',
]  # fmt: skip
BAD_LINES = ["not JSON", "[1]", '{"text": 5}', '{"text": "good"', "{}"]
DELIMITERS = {"csv": ",", "tsv": "\t"}
NEW = ["prediction", "probability"]
# A quote behind an odd number of backslashes.
ESCAPED_QUOTE = re.compile(r'(?<!\\)(?:\\\\)*\\"')


class Made(NamedTuple):
    """A file to predict.

    Attributes
    ----------
    path : Path
    text : str
        The column of the documents.
    arguments : list of str
        Further ones of the command.
    shown : str
        How the file is written.
    difference : callable
        Takes the output and whether the text column is left out, and returns the documents that must have been
        predicted, the predictions, and how the other columns differ.
    """

    path: Path
    text: str
    arguments: list[str]
    shown: str
    difference: Callable[[Path, bool], tuple[list[Any], list[Any], str]]


def write(path: Path, content: bytes) -> None:
    """Write a file, compressed if its name says so."""
    ways: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    path.write_bytes(ways.get(path.suffix, bytes)(content))


def words(rng: np.random.Generator, choices: list[str]) -> str:
    """Return some words; one text in three has odd ones."""
    odd = rng.random() < 1 / 3
    return " ".join(rng.choice(choices if odd else WORDS, rng.integers(0, 8)))


def make_delimited(rng: np.random.Generator, folder: Path, form: str) -> Made:
    """Write a CSV or TSV file by pandas."""
    delimiter = "\t" if form == "tsv" else str(rng.choice([",", ",", ";", "|", "\t"]))
    encoding = str(rng.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "cp1251"]))
    quoting = int(rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]))
    escaped = quoting != csv.QUOTE_NONE and rng.random() < 0.1
    line_end = str(rng.choice(["\n", "\n", "\r\n"]))
    compression = rng.choice(["", "", "", ".gz", ".bz2", ".xz"])
    choices = WORDS + ODD_WORDS + (FOREIGN_WORDS if encoding.startswith("utf") else [])
    if encoding == "cp1251":
        choices = [word for word in choices if word.isascii()] + ["фильм", "хороший"]
    if quoting == csv.QUOTE_NONE:
        choices = [word for word in choices if not {*word} & {delimiter, "\n", "\r"}]
    names = [name for name in NAMES if name.isascii() or encoding != "cp1251"]
    names = [name for name in names if quoting != csv.QUOTE_NONE or delimiter not in name]
    names = [str(name) for name in rng.permutation(names)[: rng.integers(0, 5)]]
    names.insert(rng.integers(0, len(names) + 1), "text")
    count = int(rng.choice(ROWS, p=SHARES))
    frame = pd.DataFrame({name: [words(rng, choices) for _ in range(count)] for name in names}, dtype=str)
    frame = frame.map(lambda cell: cell.encode(encoding, "ignore").decode(encoding)) if count else frame
    if rng.random() < 0.5 and count:
        frame["number"] = np.where(rng.random(count) < 0.2, np.nan, rng.normal(size=count))
    header = bool(rng.random() < 0.9) or not count
    path = folder / f"in.{form}{compression}"
    style: dict[str, Any] = {
        "sep": delimiter,
        "quoting": quoting,
        "doublequote": not escaped,
        "escapechar": "\\" if escaped else None,
    }
    index = bool(rng.random() < 0.2) and quoting != csv.QUOTE_NONE
    if quoting == csv.QUOTE_NONE:  # pandas would escape quotes
        rows = [[*map(str, row)] for row in [[*frame.columns] * header, *frame.to_numpy().tolist()] if row]
        content = "".join(delimiter.join(row) + line_end for row in rows)
    else:
        content = frame.to_csv(None, lineterminator=line_end, header=header, index=index, **style)
    write(path, content.encode(encoding))
    text = "text" if header else str([*frame.columns].index("text") + index)
    arguments = [] if header else ["--no-header"]
    arguments += ["--encoding", encoding] if encoding == "cp1251" or rng.random() < 0.3 else []
    arguments += ["--delimiter", delimiter] if rng.random() < 0.3 else []
    named = "backslash" if escaped else "none" if quoting == csv.QUOTE_NONE else "minimal"
    # What no file shows: a backslash before no quote, one before a quote in TSV, or a CSV cell in quotes that are text.
    hidden = {
        "backslash": form == "tsv" or not ESCAPED_QUOTE.search(content),
        "none": form == "csv" and '"' in content,
    }.get(named)
    arguments += ["--quoting", named] if hidden or rng.random() < 0.3 else []

    def read(path: Path, **options: Any) -> pd.DataFrame:
        options = {"dtype": str, "keep_default_na": False, "compression": "infer", **options}
        frame: pd.DataFrame = pd.read_csv(path, **options)
        return frame.set_axis([*map(str, frame.columns)], axis=1)

    def difference(output: Path, drop: bool) -> tuple[list[Any], list[Any], str]:
        kept_quotes = csv.QUOTE_NONE if form == "tsv" and quoting == csv.QUOTE_NONE else csv.QUOTE_MINIMAL
        found = read(output, sep=DELIMITERS[form], quoting=kept_quotes, skip_blank_lines=False)
        for blank in (True, False):  # whether pandas skips empty lines, which in one column are empty cells
            expected = read(path, **style, encoding=encoding, header=0 if header else None, skip_blank_lines=blank)
            right = expected.drop(columns=text) if drop else expected
            if right.columns.tolist() == found.columns[:-2].tolist() and right.equals(found.iloc[:, :-2]):
                return expected[text].tolist(), found[NEW[0]].tolist(), ""
        return [], [], f"{found.iloc[:, :-2].to_dict('split')}, expected {right.to_dict('split')}"

    return Made(path, text, arguments, f"{path.name} {encoding} {style} {line_end!r}", difference)


def make_json_lines(rng: np.random.Generator, folder: Path) -> Made:
    """Write JSON Lines by hand, with numbers, spaces and repeated keys as they come, or by pandas."""
    path = folder / f"in.jsonl{rng.choice(['', '', '.gz'])}"
    count = int(rng.choice(ROWS, p=SHARES))
    lines = []
    for _ in range(count):
        document = json.dumps(words(rng, WORDS + ODD_WORDS + FOREIGN_WORDS), ensure_ascii=bool(rng.random() < 0.5))
        members = [(str(name), str(rng.choice(VALUES))) for name in rng.choice(NAMES, rng.integers(0, 5))]
        members.insert(rng.integers(0, len(members) + 1), ("text", document))
        colon, comma = rng.choice([":", ": ", " : "]), rng.choice([",", ", ", " ,\t"])
        lines.append("{" + comma.join(f"{json.dumps(name)}{colon}{value}" for name, value in members) + "}")
    if rng.random() < 0.2 and count:
        frame = pd.DataFrame({"text": [json.loads(line)["text"] for line in lines], "x": rng.normal(size=count)})
        content = frame.to_json(orient="records", lines=True, force_ascii=bool(rng.random() < 0.5))
        lines = content.rstrip("\n").split("\n")
    bad = int(rng.integers(0, len(lines) + 1)) if rng.random() < 0.2 else None
    written = lines if bad is None else [*lines[:bad], str(rng.choice(BAD_LINES)), *lines[bad:]]
    end = str(rng.choice(["\n", "\n", "\r\n", "\n\n"]))
    content = ("\ufeff" if rng.random() < 0.1 else "") + end.join(written) + end * bool(rng.random() < 0.8)
    write(path, content.encode())

    def parsed(line: str) -> list[tuple[str, Any]]:
        return json.loads(line, object_pairs_hook=list, parse_float=str, parse_int=str, parse_constant=str)  # type: ignore[no-any-return]

    def difference(output: Path, drop: bool) -> tuple[list[Any], list[Any], str]:
        found = [parsed(line) for line in output.read_text(encoding="utf-8").split("\n")[:-1]]
        for row, line in zip(found, lines, strict=True):
            right = [member for member in parsed(line) if not (drop and member[0] == "text")]
            if row[:-2] != right:
                return [], [], f"{row[:-2]}, expected {right}"
        return [json.loads(line)["text"] for line in lines], [dict(row)[NEW[0]] for row in found], ""

    arguments = ["--skip-bad-rows"] if bad is not None and rng.random() < 0.7 else []
    return Made(path, "text", arguments, f"{path.name}, bad row {bad}", difference)


def drawn(rng: np.random.Generator, kind: pa.DataType) -> Any:
    """Return a value of an Arrow type, or null."""
    if rng.random() < 0.15 or pa.types.is_null(kind):
        return None
    if pa.types.is_boolean(kind):
        return bool(rng.integers(0, 2))
    if pa.types.is_integer(kind):
        signed = kind.bit_width - (not pa.types.is_unsigned_integer(kind))
        return [0, 1, 2**signed - 1, 2 ** (signed - 1)][rng.integers(0, 4)]
    if pa.types.is_floating(kind):
        return float(rng.choice([0.5, -0.0, 1.25, float("nan"), float("inf")]))
    if pa.types.is_decimal(kind):
        return Decimal(int(rng.integers(-9999, 9999))).scaleb(-kind.scale)
    if pa.types.is_temporal(kind):
        bits = 30 if kind.bit_width == 64 else 12
        return pa.scalar(int(rng.integers(0, 2**bits)), pa.int64() if kind.bit_width == 64 else pa.int32()).cast(kind)
    if pa.types.is_dictionary(kind):
        return drawn(rng, kind.value_type)
    if pa.types.is_map(kind):
        keys = {drawn(rng, pa.int32()) or 7 for _ in range(rng.integers(0, 3))}
        return [(key if pa.types.is_integer(kind.key_type) else str(key), drawn(rng, kind.item_type)) for key in keys]
    if pa.types.is_struct(kind):
        return {field.name: drawn(rng, field.type) for field in kind}
    if pa.types.is_fixed_size_list(kind):
        return [drawn(rng, kind.value_type) for _ in range(kind.list_size)]
    if hasattr(kind, "value_type"):
        return [drawn(rng, kind.value_type) for _ in range(rng.integers(0, 4))]
    if pa.types.is_fixed_size_binary(kind):
        return rng.bytes(kind.byte_width)
    value = words(rng, WORDS + ODD_WORDS + FOREIGN_WORDS)
    return rng.bytes(3) if "binary" in str(kind) else value


SIMPLE = [
    pa.int8(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(),
    pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.binary(4), pa.date32(),
    pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Berlin"), pa.time32("ms"),
    pa.time64("us"), pa.duration("us"), pa.decimal128(12, 3), pa.decimal256(40, 5), pa.null(),
    pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.large_string()),
]  # fmt: skip


def make_parquet(rng: np.random.Generator, folder: Path) -> Made:
    """Write Parquet by pyarrow, or by pandas."""

    def kind(depth: int) -> pa.DataType:
        simple = SIMPLE[rng.integers(0, len(SIMPLE))]
        way = rng.integers(0, 10) if depth else 9
        nested: dict[int, Callable[[], pa.DataType]] = {
            0: lambda: pa.list_(kind(depth - 1)),
            1: lambda: pa.large_list(kind(depth - 1)),
            2: lambda: pa.list_(pa.float32(), 2),
            3: lambda: pa.map_(pa.string(), kind(depth - 1)),
            4: lambda: pa.struct([pa.field("a", kind(depth - 1)), pa.field("b", kind(depth - 1), metadata={"c": "d"})]),
        }
        return nested.get(int(way), lambda: simple)()

    path = folder / "in.parquet"
    count = int(rng.choice(ROWS, p=SHARES))
    names = [str(name) for name in rng.permutation(NAMES)[: rng.integers(0, 7)]]
    fields = [pa.field(name, kind(2), metadata={"k": name} if rng.random() < 0.2 else None) for name in names]
    document = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
    fields.insert(rng.integers(0, len(fields) + 1), pa.field("text", document[rng.integers(0, 3)]))
    metadata = {"origin": "here"} if rng.random() < 0.5 else None
    schema = pa.schema(fields, metadata)
    rows = [{field.name: drawn(rng, field.type) for field in fields} for _ in range(count)]
    arrays = [pa.array([row[field.name] for row in rows], field.type) for field in fields]
    table = pa.Table.from_arrays(arrays, schema=schema)
    text = "text"
    if rng.random() < 0.2:
        frame = pd.DataFrame({"text": [words(rng, WORDS) for _ in range(count)], "x": pd.Categorical(["a"] * count)})
        frame.index = pd.Index(rng.permutation(count), name=str(rng.choice(["index", "key"])))
        if rng.random() < 0.3:
            frame, text = frame.set_axis([0, 1], axis=1), "0"
        frame.to_parquet(path)
    else:
        size = int(rng.choice([1, 3, 1000, 100_000]))
        pq.write_table(table, path, row_group_size=size, compression=str(rng.choice(["snappy", "zstd", "none"])))

    def difference(output: Path, drop: bool) -> tuple[list[Any], list[Any], str]:
        files = [pq.ParquetFile(file) for file in (path, output)]
        schema, found = (file.schema_arrow for file in files)
        right = [field for field in schema if not (drop and field.name == text)]
        if len(found) != len(right) + 2 or not all(map(pa.Field.equals, found, right, [True] * len(right))):
            return [], [], f"schema {found}, expected {schema}"
        if {**(found.metadata or {}), b"pandas": b""} != {**(schema.metadata or {}), b"pandas": b""}:
            return [], [], f"metadata {found.metadata}, expected {schema.metadata}"
        rows = [[row for group in range(file.num_row_groups) for row in file.read_row_group(group).to_pylist()]
                for file in files]  # fmt: skip
        kept = [[row[field.name] for field in right] for row in rows[1]]
        if repr(kept) != repr([[row[field.name] for field in right] for row in rows[0]]):
            return [], [], f"{kept[:3]}"
        with contextlib.suppress(pa.ArrowNotImplementedError):  # some nested types, which pandas cannot read
            read = pd.read_parquet(path)
            again = pd.read_parquet(output)
            if (
                not again.index.equals(read.index)
                or [*map(str, again)] != [str(name) for name in read if not (drop and str(name) == text)] + NEW
            ):
                return [], [], "pandas reads another index or other columns"
        return [row[text] or "" for row in rows[0]], [row[NEW[0]] for row in rows[1]], ""

    return Made(path, text, [], f"{schema}", difference)


MAKERS: dict[str, Callable[[np.random.Generator, Path], Made]] = {
    "csv": functools.partial(make_delimited, form="csv"),
    "tsv": functools.partial(make_delimited, form="tsv"),
    "jsonl": make_json_lines,
    "parquet": make_parquet,
}
