from html.parser import HTMLParser

import numpy as np
from drawn import assert_nothing_is_clipped, box_mask, objects, panel

from mmdet_embedmask.evaluation.verdict import judge
from mmdet_embedmask.visualization.rows import Row
from mmdet_embedmask.visualization.worst_cases import (
    OUTCOME_COLORS,
    Case,
    case_picture,
    worst_cases_page,
)

LEFT, RIGHT = box_mask(0, 0, 40, 40), box_mask(50, 0, 90, 40)
TOP_HALF, BOTTOM_HALF = box_mask(0, 0, 40, 19), box_mask(0, 19, 40, 38)


def test_the_picture_shows_outcomes_in_their_colours():
    row = Row(
        np.full((100, 100, 3), 100, np.uint8),
        objects(LEFT, RIGHT),
        objects(TOP_HALF, BOTTOM_HALF, scored=True),
    )
    picture = case_picture(row, judge(row.truth, row.prediction), title="image.png", tile=200)
    source, truth, prediction = (panel(picture, column, (200, 200), 200) for column in range(3))
    assert (source == 100).all()
    assert (truth[40, 79] == OUTCOME_COLORS["split"]).all()
    assert (truth[40, 100] == OUTCOME_COLORS["missed"]).all()
    assert (truth[120:] == 100).all() and (prediction[:, 90:] == 100).all()
    assert (prediction[20, 79] != prediction[60, 79]).any()
    assert_nothing_is_clipped(picture)
    key = picture[-8 - 40 :]
    for color in OUTCOME_COLORS.values():
        assert (key == color).all(axis=2).any()


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.words, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_escapes_names_and_keeps_the_order():
    nasty = "<script>alert('1')</script> & \"100%\" #1.png"
    verdicts = [judge(objects(LEFT), objects()), judge(objects(), objects())]
    text = worst_cases_page(
        [
            Case(nasty, "00001_a b#1%.png", verdicts[0]),
            Case("fine.png", "00000_fine.png", verdicts[1]),
        ],
        "model <x>",
    )
    page = Links(text)
    assert text.count("<script>") == 1 and page.tags.count("script") == 1
    assert page.words.index(nasty) < page.words.index("fine.png")
    assert "model <x>" in page.words and page.tags.count("tr") == 3
    quoted = "00001_a%20b%231%25.png"
    assert page.found[:3] == [f"pictures/{quoted}", f"pictures/{quoted}", f"thumbnails/{quoted}"]
    assert "0.000" in page.words
    assert not any(link.startswith(("http", "//", "/")) for link in page.found)
