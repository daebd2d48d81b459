import json
import os

import pytest

from mmdet_embedmask.inference.json_lines import JsonLines, lines_to_json


def test_records_are_on_disk_as_soon_as_they_are_added(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    with JsonLines(path) as lines:
        for number in range(2):
            lines.add(dict(number=number, name="ä"))
            read = [json.loads(line) for line in path.read_text().splitlines()]
            assert read == [dict(number=i, name="ä") for i in range(number + 1)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_lines_become_one_list(tmp_path, count):
    records = [dict(number=i) for i in range(count)]
    with JsonLines(tmp_path / "a.jsonl") as lines:
        for record in records:
            lines.add(record)
    lines_to_json(tmp_path / "a.jsonl", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == records
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_lines_stay_until_the_list_has_its_name(tmp_path, monkeypatch):
    with JsonLines(tmp_path / "a.jsonl") as lines:
        lines.add(dict(number=1))

    def fail(*_):
        raise PermissionError("the list is open elsewhere")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(PermissionError):
        lines_to_json(tmp_path / "a.jsonl", tmp_path / "a.json")
    assert (tmp_path / "a.jsonl").read_text() == '{"number": 1}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
