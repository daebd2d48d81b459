import json

import pytest

from mmdet_embedmask.benchmark.tables import markdown_table, write_json


def test_columns_are_padded_to_their_widest_cell():
    assert markdown_table(["stage", "ms"], [["neck", "1234.5"], ["proposal head", "7"]]) == (
        "| stage         | ms     |\n"
        "| ------------- | ------ |\n"
        "| neck          | 1234.5 |\n"
        "| proposal head | 7      |"
    )


def test_narrow_columns_have_the_three_dashes_of_markdown_and_rows_may_be_missing():
    assert markdown_table(["a", "b"], []) == "| a   | b   |\n| --- | --- |"


def test_a_bar_within_a_cell_does_not_end_it():
    assert markdown_table(["p(x|y)"], [["1"]]).splitlines()[0] == r"| p(x\|y) |"


def test_a_row_of_another_length_is_named():
    with pytest.raises(ValueError, match=r"row \['1'\] has 1 cells and the header .* has 2"):
        markdown_table(["a", "b"], [["1"]])


def test_json_is_written_whole_into_a_new_folder(tmp_path):
    path = tmp_path / "new" / "times.json"
    write_json(path, {"median": 1.5})
    write_json(path, {"median": 2.5})
    assert json.loads(path.read_text()) == {"median": 2.5}
    assert [p.name for p in path.parent.iterdir()] == ["times.json"]


def test_what_json_cannot_hold_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "times.json"
    write_json(path, [1])
    with pytest.raises(TypeError):
        write_json(path, object())
    assert json.loads(path.read_text()) == [1]
