import shutil
from pathlib import Path

import pytest
from tool_module import load_tool

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("configs/embedmask")


def main(*args):
    load_tool("model_zoo").main(list(map(str, args)))


def test_the_repositorys_page_is_up_to_date():
    main("--root", ROOT, "--check")


def test_a_changed_metafile_is_noticed_and_the_page_made_again(tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    text = (ROOT / FOLDER / "metafile.yml").read_text()
    (tmp_path / FOLDER / "metafile.yml").write_text(text.replace("mask AP: 38.3", "mask AP: 38.4"))
    shutil.copy(ROOT / FOLDER / "README.md", tmp_path / FOLDER)
    with pytest.raises(SystemExit, match="differs from .*metafile.yml: run python tools/model_zoo"):
        main("--root", tmp_path, "--check")
    main("--root", tmp_path)
    main("--root", tmp_path, "--check")
    assert "38.4 / 59.3" in (tmp_path / FOLDER / "README.md").read_text()


def test_outside_the_repository_it_says_where_to_run(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main("--root", tmp_path)
    assert "run this in the repository, or give its --root" in capsys.readouterr().err


def test_a_config_outside_the_zoos_folder_is_refused_and_the_page_stays(tmp_path, capsys):
    (tmp_path / FOLDER).mkdir(parents=True)
    text = (ROOT / FOLDER / "metafile.yml").read_text()
    text = text.replace("Config: configs/embedmask/atss/", "Config: /home/me/atss/")
    (tmp_path / FOLDER / "metafile.yml").write_text(text)
    with pytest.raises(SystemExit):
        main("--root", tmp_path)
    assert "/home/me/atss/embedmask_atss_r50_fpn_1x_coco.py, does not" in capsys.readouterr().err
    assert not (tmp_path / FOLDER / "README.md").exists()
