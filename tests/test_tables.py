import pytest

from mmdet_embedmask.tables import markdown_table


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
