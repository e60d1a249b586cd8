from __future__ import annotations

import pytest

from han.exceptions import InvalidValueError
from tests.tables.reading import FRAME, TEXTS, read


@pytest.mark.parametrize("orient", ["records", "split", "columns", "index", "table"])
def test_json_files_of_pandas(orient):
    content = FRAME.to_json(orient=orient).encode()
    rows, table = read(content, "in.json")
    assert [row["text"] for row in rows] == TEXTS
    assert [row["n"] for row in rows] == [*range(8)]
    assert table.unit == "row"


def test_lists_within_objects_and_json_lines_with_the_suffix_json():
    expected = [{"text": "a"}, {"text": "b"}]
    assert read(b'{"version": 1, "data": [{"text": "a"}, {"text": "b"}]}', "in.json")[0] == expected
    assert read(b'{"text": "a"}\n{"text": "b"}\n', "in.json")[0] == expected
    assert read(b'[{"text": "a"},\n {"text": "b"}]', "in.jsonl")[0] == expected
    with pytest.raises(InvalidValueError, match=r"^in\.json must contain a list of objects"):
        read(b'{"text": "a"}', "in.json")
    with pytest.raises(InvalidValueError, match=r"^in\.json is not JSON: Expecting .* line 1"):
        read(b'[{"text": "a"}', "in.json")
    with pytest.raises(InvalidValueError, match=r"^in\.json: row 2 must be a JSON object, got 7"):
        read(b'[{"text": "a"}, 7]', "in.json")
