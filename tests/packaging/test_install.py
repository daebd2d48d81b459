"""Wheel, sdist and editable install in an environment of their own, and every verb of MIM.

Needs a package index (minutes): `make test-install`.
"""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
import venv
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from runs import make_shapes, shapes_config
from zoo import add_to_zoo

from mmdet_embedmask.release.folder import ZooFacts, publish
from mmdet_embedmask.version import __version__

pytestmark = pytest.mark.install

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "embedmask_tiny_shapes"
EVENTS = dict(capture_output=True, text=True)


def run(*command, ok=True, cwd=None, **environment):
    """A command as a user runs it; its text is kept in pytest's output."""
    print("$", *command)
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    clean |= {"OMP_NUM_THREADS": "2", **environment}
    result = subprocess.run([*map(str, command)], cwd=cwd, env=clean, **EVENTS)
    text = result.stdout + result.stderr
    print(text[-3000:])
    assert (result.returncode == 0) == ok, text[-5000:]
    return text


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("install")


@pytest.fixture(scope="session")
def release(work):
    """Folder with a release of a model of two iterations, as `publish_model` makes it."""
    data = make_shapes(work / "shapes", 2, size=64)
    cfg = shapes_config(data, work / "run", 2, **{"model.test_cfg.score_thr": 0.005})
    cfg.default_hooks.logger.interval = 1
    config = add_to_zoo(work / "clone", f"{CONFIG}.py", cfg)
    run(sys.executable, ROOT / "tools" / "train.py", config, PYTHONPATH=str(ROOT))
    image = sorted((data / "train").iterdir())[0]
    facts = ZooFacts(
        config=str(config), dataset="shapes", training_data="shapes", source="a test", url="URL"
    )
    return publish(
        work / "run" / "iter_2.pth",
        work_dir=work / "run",
        out=work / "zoo",
        image=image,
        facts=facts,
    )


@pytest.fixture(scope="session")
def server(release):
    """Serves the folder of releases on this machine alone."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(release.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.fixture(scope="session")
def source(work, release, server):
    """The repository with the release's entry in its metafile, as its maintainer commits it."""
    names = ["git", "ls-files", "-co", "--exclude-standard"]
    files = subprocess.run(names, cwd=ROOT, check=True, **EVENTS).stdout.splitlines()
    for name in files:
        if (ROOT / name).is_file():
            (work / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, work / "source" / name)
    metafile = work / "source" / "configs" / "embedmask" / "metafile.yml"
    content = yaml.safe_load(metafile.read_text())
    (entry,) = yaml.safe_load((release / "metafile_entry.yml").read_text())
    entry["Weights"] = entry["Weights"].replace("URL", server)
    others = [model for model in content["Models"] if model["Name"] != CONFIG]
    content["Models"] = [*others, entry]
    metafile.write_text(yaml.safe_dump(content, sort_keys=False))
    return work / "source"


@pytest.fixture(scope="session")
def built(source):
    """Folder with sdist and wheel; the wheel is built of the sdist."""
    run(sys.executable, "-m", "build", "--no-isolation", source, "-o", source / "dist")
    return source / "dist"


@pytest.fixture(scope="session")
def wheel(built):
    (path,) = built.glob("*.whl")
    assert path.name == f"mmdet_embedmask-{__version__}-py3-none-any.whl"
    return path


@pytest.fixture(scope="session")
def environment(work, wheel):
    """bin folder of an environment with MIM and the wheel, made as the docs say."""
    venv.create(work / "venv", with_pip=True)
    bin_dir = work / "venv" / "bin"
    pip = bin_dir / "pip"
    version = torch.__version__.split("+")[0]
    run(pip, "install", "-q", f"torch=={version}")
    run(pip, "install", "-q", "openmim")
    run(pip, "install", "-q", "-U", "setuptools<82", "wheel")
    run(pip, "install", "-q", f"{wheel}[lite]")
    return bin_dir


@pytest.fixture
def mim(environment, tmp_path):
    def call(*arguments, ok=True):
        path = f"{environment}:{os.environ['PATH']}"
        return run(environment / "mim", *arguments, ok=ok, cwd=tmp_path, PATH=path)

    return call


@pytest.fixture(scope="session")
def options(work, release):
    """Settings that train on the two shapes for two iterations, as MIM hands them on."""
    cfg = Config.fromfile(release / f"{release.name}.py")
    keys = (
        "train_cfg.max_iters",
        "train_cfg.val_interval",
        *(
            f"{loader}.{key}"
            for loader in ("train_dataloader", "val_dataloader", "test_dataloader")
            for key in (
                "num_workers",
                "persistent_workers",
                "dataset.data_root",
                "dataset.ann_file",
                "dataset.data_prefix.img",
            )
        ),
        "val_evaluator.ann_file",
        "test_evaluator.ann_file",
        "train_dataloader.batch_size",
        # Two iterations teach nothing: without a low threshold there is nothing to evaluate.
        "model.test_cfg.score_thr",
    )

    def value(key):
        found = cfg
        for part in key.split("."):
            found = found[part]
        return found

    return ["--cfg-options", *(f"{key}={value(key)}" for key in keys)]


def test_the_wheel_holds_what_mim_looks_for_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    ours = {name.split("/")[0] for name in names}
    assert ours == {"mmdet_embedmask", f"mmdet_embedmask-{__version__}.dist-info"}
    held = {name for name in names if name.startswith("mmdet_embedmask/.mim/")}
    for folder, endings in (("tools", ("*.py", "*.sh")), ("configs", ("*.py", "*.yml", "*.md"))):
        for ending in endings:
            for path in (ROOT / folder).rglob(ending):
                assert f"mmdet_embedmask/.mim/{path.relative_to(ROOT).as_posix()}" in held
    assert "mmdet_embedmask/.mim/model-index.yml" in held
    assert not any("__pycache__" in name or "/tests/" in name for name in names)


def test_pip_install_alone_brings_no_framework_and_says_what_to_install(work, wheel):
    venv.create(work / "bare", with_pip=True)
    run(work / "bare" / "bin" / "pip", "install", "-q", wheel)
    listed = run(work / "bare" / "bin" / "pip", "list").lower()
    for name in ("torch", "mmcv", "mmdet ", "mmengine"):
        assert name not in listed
    text = run(work / "bare" / "bin" / "python", "-c", "import mmdet_embedmask", ok=False)
    assert 'torch is not installed (wanted torch >=2.0). Run: pip install "torch>=2.0"' in text
    for cure in ("mmengine>=0.10.0,<1.0", "mmcv-lite==2.1.0", "mmdet>=3.3.0,<3.4.0"):
        assert f'Run: pip install "{cure}"' in text


def test_mim_lists_the_package(mim):
    assert f"mmdet_embedmask  {__version__}" in " ".join(mim("list").split("\n")).replace(
        "mmdet-embedmask", "mmdet_embedmask"
    )


def test_mim_search_finds_the_configs_and_the_papers_figures(mim):
    text = mim("search", "mmdet_embedmask", "--valid-config")
    assert "'embedmask_r50_fpn_1x_coco'" in text and f"'{CONFIG}'" in text
    text = mim("search", "mmdet_embedmask", "--config", "embedmask_r50_fpn_1x_coco")
    assert "coco_test-dev/mask_ap" in text.lower().replace("coco test-dev", "coco_test-dev")
    assert "34.8" in text


def test_mim_downloads_config_and_weights_of_a_release(mim, tmp_path, release):
    mim("download", "mmdet_embedmask", "--config", CONFIG, "--dest", tmp_path)
    path = tmp_path / f"{release.name}.pth"
    assert path.read_bytes() == (release / path.name).read_bytes()
    assert Config.fromfile(tmp_path / f"{CONFIG}.py").model.type == "EmbedMask"


def test_mim_trains_a_config_by_its_name_and_tests_the_checkpoint(mim, tmp_path, options):
    arguments = ["--gpus", "0", "--work-dir", tmp_path / "run", *options]
    text = mim("train", "mmdet_embedmask", f"{CONFIG}.py", *arguments)
    assert "coco/segm_mAP" in text and (tmp_path / "run" / "iter_2.pth").is_file()
    checkpoint = ["--checkpoint", tmp_path / "run" / "iter_2.pth"]
    text = mim("test", "mmdet_embedmask", f"{CONFIG}.py", *checkpoint, *arguments)
    assert "coco/segm_mAP" in text


def test_mim_trains_a_config_with_mmdetections_own_tool(mim, tmp_path, options, environment):
    (config,) = (environment.parent / "lib").rglob(f"mmdet_embedmask/.mim/**/{CONFIG}.py")
    arguments = ["--gpus", "0", "--work-dir", tmp_path / "run", *options]
    assert "coco/segm_mAP" in mim("train", "mmdet", config, *arguments)


def test_mim_gridsearch_trains_a_run_for_each_value(mim, tmp_path, options):
    arguments = ["--gpus", "0", "--work-dir", tmp_path / "run"]
    (tmp_path / "search.py").write_text(
        Config.fromfile(ROOT / "configs" / "embedmask" / f"{CONFIG}.py").pretty_text
    )
    search = ["--search-args", "--optim_wrapper.optimizer.lr 0.001 0.002"]
    text = mim(
        *["gridsearch", "mmdet_embedmask", f"{CONFIG}.py", *arguments, *search],
        *options,
    )
    assert text.count("finished successfully") >= 2
    assert len(list(tmp_path.glob("run_search_*/iter_2.pth"))) == 2


def test_mim_runs_a_tool_of_ours(mim, tmp_path):
    text = mim("run", "mmdet_embedmask", "make_shapes_coco", tmp_path / "s", "--train", "2")
    assert "finished successfully" in text and (tmp_path / "s" / "annotations").is_dir()


@pytest.mark.parametrize("kind", ["sdist", "editable", "wheel"])
def test_every_kind_of_install_works(environment, source, built, wheel, work, kind, options):
    """The wheel comes last, for whatever test comes after."""
    pip, python = environment / "pip", environment / "python"
    what = {
        "sdist": [next(built.glob("*.tar.gz"))],
        "wheel": [wheel],
        "editable": ["-e", source],
    }[kind]
    run(pip, "uninstall", "-q", "-y", "mmdet_embedmask")
    run(pip, "install", "-q", "--no-deps", "--no-build-isolation", *what)
    code = (
        "import mmdet_embedmask as m; from pathlib import Path; p = Path(m.__file__).parent;"
        "print(m.__version__, (p / '.mim/model-index.yml').exists(),"
        " len(list((p / '.mim/tools').iterdir())) > 10)"
    )
    assert f"{__version__} True True" in run(python, "-c", code, cwd=work)
    path = f"{environment}:{os.environ['PATH']}"
    # MIM finds an editable install with the repository's root on the path.
    extra = dict(PYTHONPATH=str(source)) if kind == "editable" else {}
    out = work / f"shapes_{kind}"
    arguments = ["run", "mmdet_embedmask", "make_shapes_coco", out, "--train", "1", "--val", "0"]
    run(environment / "mim", *arguments, cwd=work, PATH=path, **extra)
    assert len(list((out / "train").iterdir())) == 1
