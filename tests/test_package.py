"""The package as a whole: what is imported when, what a wheel holds, layers, generated pages, the README's commands."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from page_blocks import FENCE, name_of, pages
from server import Server

ROOT = Path(__file__).resolve().parent.parent


def python(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=240, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    "words", ["--help", "run --help", "sample --help", "export --help", "recipes", "runs", "compare", "delete last", "sample last"]
)
def test_commands_that_do_not_train_import_neither_torch_nor_mlflow(words: str, tmp_path: Path) -> None:
    code = f"""
import sys
from ganlab.cli import main
try:
    main({words.split()!r})
except SystemExit:
    pass
print(sorted({{"torch", "mlflow", "torchvision", "sklearn", "matplotlib"}} & set(sys.modules)))
"""
    assert python("-c", code, cwd=tmp_path).stdout.splitlines()[-1] == "[]"


def test_importing_ganlab_imports_no_torch() -> None:
    assert python("-c", "import ganlab, sys; ganlab.hookimpl; print('torch' in sys.modules)").stdout == "False\n"


def test_every_public_name_is_there() -> None:
    import ganlab

    assert {name: getattr(ganlab, name) for name in ganlab.__all__}.keys() == set(dir(ganlab))
    with pytest.raises(AttributeError, match="module 'ganlab' has no attribute 'train_all'"):
        _ = ganlab.train_all


def test_version_is_the_same_everywhere() -> None:
    import ganlab

    assert f'version = "{ganlab.__version__}"' in (ROOT / "pyproject.toml").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_holds_plugins_recipes_and_type_marker(wheel: Path) -> None:
    assert (wheel / "ganlab" / "py.typed").is_file()
    assert {path.name for path in (wheel / "ganlab" / "recipes").iterdir()} == {path.name for path in (ROOT / "recipes").iterdir()}
    points = re.findall(r"^\w+ = (ganlab_\w+)$", (wheel / "ganlab-0.1.0.dist-info" / "entry_points.txt").read_text(), re.MULTILINE)
    assert points == sorted(points, key=points.index)
    assert {path.name for path in (ROOT / "plugins").iterdir() if path.name.startswith("ganlab_")} == set(points)
    assert all((wheel / point / "__init__.py").is_file() for point in points)


@pytest.mark.slow
def test_a_shipped_recipe_runs_by_its_name_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    code = "import ganlab, sys; from ganlab.cli import main; print(ganlab.__file__); sys.stdout.flush(); main()"
    words = ["-I", "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}); {code}", "run", "ring", "--set", "train.steps=3", "--quiet"]
    done = python(*words, "--set", "tracking.enabled=false", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(wheel))
    assert "finished  step 3 of 3" in done.stdout


def test_imports_keep_their_direction() -> None:
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([script, "--no-cache"], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "5 kept, 0 broken" in done.stdout


def test_generated_pages_are_up_to_date(server: Server) -> None:
    ended = server.python(ROOT, "docs/generate.py", "--check", environment={})
    assert (ended.code, ended.text) == (0, "")


def test_ci_runs_what_the_readme_says() -> None:
    readme, script = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    assert "python -m pip install -e '.[dev]' && python -m pytest -n auto\n" in readme
    assert script.splitlines()[-2:] == ["python -m pytest -n auto  # the README's command", "python -m pytest -n auto -m slow"]
    assert "python -m pip install . && ganlab run recipes/mnist_adaptive.toml" in readme


def test_every_link_of_a_page_leads_somewhere_on_github() -> None:
    for page in pages():
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", FENCE.sub("", page.read_text(encoding="utf-8"))):
            assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"
