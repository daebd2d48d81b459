import cv2
import numpy as np
import pytest
from full_disk import full_disk

from mmdet_embedmask.inference.video import (
    CODECS,
    VideoFile,
    VideoSource,
    check_display,
    frames_to_come,
)


def frame(value, size=(48, 64)):
    return np.full((*size, 3), value, np.uint8)


def write(path, count=6, fps=12.5, size=(48, 64)):
    with VideoFile(path, fps) as video:
        for index in range(count):
            video.write(frame(30 * index, size))
    return path


@pytest.mark.parametrize("suffix", CODECS)
def test_what_is_written_is_read(tmp_path, suffix):
    with VideoSource(str(write(tmp_path / f"a{suffix}"))) as source:
        assert (source.fps, source.num_frames) == (12.5, 6)
        read = list(source.frames())
    assert [index for index, _ in read] == list(range(6))
    for index, image in read:
        assert image.shape == (48, 64, 3) and abs(image.mean() - 30 * index) < 4


def test_every_nth_frame_is_read_the_first_included(tmp_path):
    with VideoSource(str(write(tmp_path / "a.mp4", 7))) as source:
        read = list(source.frames(3))
    assert [index for index, _ in read] == [0, 3, 6]
    assert [round(image.mean() / 30) for _, image in read] == [0, 3, 6]
    assert source.frames_read == 7


@pytest.mark.parametrize(
    ("size", "expected"), [((49, 65), (50, 66)), ((49, 64), (50, 64)), ((48, 65), (48, 66))]
)
def test_odd_sizes_lose_nothing(tmp_path, size, expected):
    picture = frame(0, size)
    picture[-9:, :] = 200
    with VideoFile(tmp_path / "a.mp4", 10) as video:
        video.write(picture)
    with VideoSource(str(tmp_path / "a.mp4")) as source:
        ((_, image),) = source.frames()
    assert image.shape == (*expected, 3)
    assert (image[-9:] > 150).all()


def test_frames_of_another_size_are_refused(tmp_path):
    with VideoFile(tmp_path / "a.mp4", 10) as video:
        video.write(frame(0))
        with pytest.raises(ValueError, match=r"a frame is \(40, 64, 3\), but the video's first is"):
            video.write(frame(0, (40, 64)))


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with VideoFile(tmp_path / "gone" / "a.mp4", 10) as video:
        with pytest.raises(OSError, match="cannot write .*gone/a.mp4 with the codec mp4v"):
            video.write(frame(0))


@pytest.mark.parametrize(
    ("suffix", "limit", "readable"),
    # The second of AVI says in its first bytes that it holds 20 frames.
    [(".mp4", 5_000, r"0"), (".avi", 5_000, r"0"), (".avi", 30_000, r"[1-9]\d?")],
)
@pytest.mark.parametrize("stopped", [False, True])
def test_a_full_disk_is_told(tmp_path, suffix, limit, readable, stopped):
    """OpenCV's writer says nothing."""
    rng = np.random.default_rng(0)
    message = rf"a{suffix}: only {readable} of 20 frames can be read back: the disk is full.* free"
    with pytest.raises(OSError, match=message), full_disk(limit):
        with VideoFile(tmp_path / f"a{suffix}", 10) as video:
            for _ in range(20):
                video.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
            if stopped:
                raise KeyboardInterrupt


def test_an_error_is_told_rather_than_what_it_left(tmp_path):
    with pytest.raises(RuntimeError, match="^first$"), full_disk(1_000):
        with VideoFile(tmp_path / "a.mp4", 10) as video:
            video.write(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
            raise RuntimeError("first")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gone.mp4", "gone.mp4 does not exist: give a video file, or the number of a webcam"),
        ("text.mp4", "text.mp4 is not a video that OpenCV can read"),
        ("97", "97 is no webcam that opens"),
    ],
)
def test_sources_that_cannot_be_opened_are_named(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("hello" * 100)
    with pytest.raises(ValueError, match=message):
        VideoSource(source)


class Capture:
    """What OpenCV gives for a source; its third frame is found, but cannot be decoded."""

    fps, count, opened, left, released = 50.0, 100.0, None, 3, False

    def isOpened(self):  # noqa: N802
        return True

    def get(self, name):
        return {cv2.CAP_PROP_FPS: self.fps, cv2.CAP_PROP_FRAME_COUNT: self.count}[name]

    def grab(self):
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        return (True, frame(self.left)) if self.left else (False, None)

    def release(self):
        self.released = True


@pytest.fixture
def capture(monkeypatch, tmp_path):
    """The only source that OpenCV opens; the folder has a file "4"."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "4").write_text("a video")
    only = Capture()

    def open_capture(source):
        only.opened = source
        return only

    monkeypatch.setattr(cv2, "VideoCapture", open_capture)
    return only


@pytest.mark.parametrize(
    ("source", "opened", "num_frames"), [("3", 3, None), ("4", "4", 100)], ids=["webcam", "file"]
)
def test_a_number_is_a_webcam_unless_a_file_has_that_name(capture, source, opened, num_frames):
    video = VideoSource(source)
    assert capture.opened == opened
    # What a webcam says of its frames is not to be trusted.
    assert (video.fps, video.num_frames) == (50.0, num_frames)


@pytest.mark.parametrize("fps", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_source_that_does_not_say_its_speed_plays_25_frames_a_second(capture, fps):
    capture.fps = fps
    assert VideoSource("3").fps == 25.0


@pytest.mark.parametrize("count", [0.0, -1.0])
def test_a_file_that_does_not_say_its_length_has_none(capture, count):
    capture.count = count
    assert VideoSource("4").num_frames is None


def test_frames_end_at_one_that_cannot_be_decoded_and_the_source_is_closed(capture):
    with VideoSource("4") as source:
        assert [(index, image[0, 0, 0]) for index, image in source.frames()] == [(0, 2), (1, 1)]
        assert not capture.released
    assert capture.released


@pytest.mark.parametrize(
    ("num_frames", "every", "max_frames", "expected"),
    [(7, 1, None, 7), (7, 3, None, 3), (6, 3, None, 2), (7, 3, 2, 2), (None, 2, 5, 5)]
    + [(None, 1, None, None), (7, 1, 100, 7)],
)
def test_frames_to_come_are_what_source_and_options_allow(num_frames, every, max_frames, expected):
    assert frames_to_come(num_frames, every, max_frames) == expected


def test_a_window_needs_a_display_and_an_opencv_that_opens_windows(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ValueError, match="no display here"):
        check_display()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:           NONE\n")
    with pytest.raises(ValueError, match="opencv-python-headless"):
        check_display()
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:           QT5\n")
    check_display()
