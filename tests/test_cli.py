"""What the tools' common arguments read, and what is said of those that cannot work."""

from pathlib import Path

import pytest
import torch
from mmengine.config import ConfigDict
from runs import CONFIGS
from tool_module import load_tool

from mmdet_embedmask import cli
from mmdet_embedmask.loading import load_config


@pytest.fixture
def parser():
    return cli.tool_parser("Draw.\n\npython tools/draw.py CONFIG\n")


@pytest.fixture
def told(parser, capsys):
    """What a check says when it leaves, without the usage above."""

    def told(check, *arguments):
        with pytest.raises(SystemExit) as left:
            check(parser, *arguments)
        assert left.value.code == 2
        return capsys.readouterr().err.split("error: ")[1].removesuffix("\n")

    return told


@pytest.fixture
def read(parser):
    """What the parser reads of a command line."""
    return lambda *arguments: parser.parse_args(arguments)


def read_wrongly(parser, *arguments):
    return parser.parse_args(arguments)


def gpu(monkeypatch, is_there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_there)


def test_help_keeps_the_lines_of_the_docstring(parser):
    assert "Draw.\n\npython tools/draw.py CONFIG\n\n" in parser.format_help()


def test_config_and_checkpoint_are_paths_with_a_suffix_for_several_models(parser, read):
    cli.add_model(parser)
    cli.add_model(parser, "_b")
    assert vars(read("a.py", "a.pth", "b.py", "b.pth")) == dict(
        config=Path("a.py"),
        checkpoint=Path("a.pth"),
        config_b=Path("b.py"),
        checkpoint_b=Path("b.pth"),
    )


def test_changes_of_the_config_have_types(parser, read):
    cli.add_cfg_options(parser)
    assert read().cfg_options is None
    options = read("--cfg-options", "a.b=1", "c=(2,x)", "d=true").cfg_options
    assert options == {"a.b": 1, "c": (2, "x"), "d": True}
    assert "--cfg-options CFG_OPTIONS [CFG_OPTIONS ...]" in parser.format_help()


@pytest.mark.parametrize("is_there, device", [(True, "cuda:0"), (False, "cpu")])
def test_the_gpu_is_taken_where_there_is_one(parser, read, monkeypatch, is_there, device):
    gpu(monkeypatch, is_there)
    cli.add_device(parser)
    assert read().device == device
    assert f"--device DEVICE  ({device})" in parser.format_help()


def test_a_device_that_is_there_can_be_asked_for(parser, read, monkeypatch):
    cli.add_device(parser)
    gpu(monkeypatch, True)
    assert read("--device", "cuda:1").device == "cuda:1"
    gpu(monkeypatch, False)
    assert read("--device", "cpu").device == "cpu"


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused_with_the_cure(parser, told, monkeypatch, name):
    gpu(monkeypatch, False)
    cli.add_device(parser)
    message = "argument --device: torch finds no CUDA device here, take --device cpu"
    assert told(read_wrongly, "--device", name) == message


def test_a_tool_that_takes_some_devices_refuses_others(parser, read, told, monkeypatch):
    gpu(monkeypatch, True)
    cli.add_device(parser, "cuda", ("cpu", "cuda"))
    assert read().device == "cuda"
    message = told(read_wrongly, "--device", "cuda:1")
    assert message.startswith("argument --device: invalid choice: 'cuda:1' (choose from ")


def test_files_that_are_there_and_folders_to_come_pass(parser, tmp_path):
    cli.check_files(parser, [Path(__file__), None])
    cli.check_files(parser, [])
    cli.check_output_folder(parser, None)
    cli.check_output_folder(parser, tmp_path)
    cli.check_output_folder(parser, tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []


def test_the_first_file_that_is_missing_is_named(told, tmp_path):
    paths = [Path(__file__), None, Path("gone.py"), Path("gone.pth")]
    assert told(cli.check_files, paths) == "gone.py is not a file"
    assert told(cli.check_files, [tmp_path]) == f"{tmp_path} is not a file"


def test_an_output_folder_that_is_a_file_is_refused(told):
    message = f"{__file__} is a file, but must be a folder to write into"
    assert told(cli.check_output_folder, Path(__file__)) == message


def test_a_count_below_its_least_value_is_refused(parser, read, told):
    parser.add_argument("--num", type=int)
    parser.add_argument("--batch-size", type=int, default=1)
    least = dict(num=0, batch_size=2)
    cli.check_counts(parser, read("--num", "0", "--batch-size", "2"), least)
    cli.check_counts(parser, read("--batch-size", "2"), least)
    assert told(cli.check_counts, read("--num", "-1"), least) == "--num -1 must be at least 0"
    assert told(cli.check_counts, read(), least) == "--batch-size 1 must be at least 2"


def test_heights_and_widths_below_the_least_are_refused(parser, told):
    cli.check_size(parser, (32, 33), 32)
    message = "--size 31: height and width must be at least 32 pixels"
    assert told(cli.check_size, (32, 31), 32) == message
    assert told(cli.check_size, (31, 640), 32) == message


def test_a_lowest_score_outside_0_to_1_is_refused(parser, read, told):
    cli.add_score_thr(parser)
    assert read().score_thr == 0.3
    for value in ("0", "1"):
        cli.check_score_thr(parser, read("--score-thr", value))
    for value in ("-0.1", "1.1", "nan"):
        message = f"--score-thr {value} must lie between 0 and 1"
        assert told(cli.check_score_thr, read("--score-thr", value)) == message


def test_a_model_without_embeddings_is_refused(parser, told):
    cli.check_embed_mask(parser, load_config(CONFIGS / "embedmask_r18_fpn_dsb2018.py"))
    peer = ConfigDict(model=dict(type="CondInst"))
    message = "the config's model is CondInst: this tool looks inside EmbedMask alone"
    assert told(cli.check_embed_mask, peer) == message


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("image_demo", ["gone.pth", "gone.png", "--out", "new"]),
        ("embedding_view", ["gone.py", "gone.pth", "new"]),
        ("picture_sheet", ["gone.py", "gone.pth", "new.png"]),
        ("threshold_sweep", ["gone.py", "gone.pth", "--out", "new"]),
    ],
)
def test_tools_refuse_a_gpu_that_is_not_there(capsys, monkeypatch, name, arguments):
    gpu(monkeypatch, False)
    with pytest.raises(SystemExit):
        load_tool(name).main([*arguments, "--device", "cuda"])
    message = "error: argument --device: torch finds no CUDA device here, take --device cpu\n"
    assert capsys.readouterr().err.endswith(message)
