"""The architecture: no circle of imports, nothing imports the package's root, and no file, class, function or room is crowded."""

from __future__ import annotations

import ast
import graphlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from ganlab.runs.run import Run
from ganlab.testing import prepare

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if path.name.startswith("ganlab_"))
ROOMS = sorted(path.name for path in (ROOT / "ganlab").iterdir() if (path / "__init__.py").is_file())
#: The public contracts name what is above them, in annotations only; pyproject.toml has the same list.
UPWARD = {
    ("ganlab.components", "ganlab.game.turn"), ("ganlab.hookspecs", "ganlab.game.player"), ("ganlab.hookspecs", "ganlab.game.turn"),
    ("ganlab.hookspecs", "ganlab.runs.run"),
}  # fmt: skip
MOST_LINES = {"module": 400, ast.ClassDef: 200, ast.FunctionDef: 50}
#: Modules of the command line that are not a command's own.
SHARED_BY_COMMANDS = {
    "__init__", "build", "commands", "exit_codes", "extensions", "importing", "lazy_compiler", "process", "sweep", "training",
}  # fmt: skip
MOST_FILES = 23  # in a room; the command line has one module for each command


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Which module imports which, type-only imports included."""
    graph = grimp.build_graph("ganlab", *PLUGINS, exclude_type_checking_imports=False, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def test_no_circle_of_imports(imports: dict[str, set[str]]) -> None:
    assert all(upper in imports[lower] for lower, upper in UPWARD)
    order = {module: {other for other in imported if (module, other) not in UPWARD} for module, imported in imports.items()}
    try:
        graphlib.TopologicalSorter(order).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_no_module_inside_imports_the_root(imports: dict[str, set[str]]) -> None:
    assert [module for module, imported in imports.items() if module.startswith("ganlab.") and "ganlab" in imported] == []


def modules() -> Iterator[tuple[str, str]]:
    for path in sorted([*(ROOT / "ganlab").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_no_module_class_or_function_is_crowded() -> None:
    crowded = []
    for path, text in modules():
        if text.count("\n") > MOST_LINES["module"]:
            crowded.append(f"{path}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                if lines > MOST_LINES[type(node)]:
                    crowded.append(f"{path}: {node.name}, {lines} lines")
    assert crowded == []


def test_no_room_is_crowded() -> None:
    sizes = {room: len(list((ROOT / "ganlab" / room).glob("*.py"))) for room in ROOMS if room != "cli"}
    assert {room: size for room, size in sizes.items() if size > MOST_FILES} == {}
    commands = (ROOT / "ganlab" / "cli" / "commands.py").read_text(encoding="utf-8")
    named = {node.args[0].value for node in ast.walk(ast.parse(commands)) if _is_command(node)}
    assert {path.stem for path in (ROOT / "ganlab" / "cli").glob("*.py")} == named | SHARED_BY_COMMANDS


def _is_command(node: ast.AST) -> bool:
    """Whether this is ``@cli.command("name")``."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("cli.command", "cli.group") and bool(node.args)


def test_no_class_name_stands_for_two_things() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path, text in modules():
        if path.startswith("ganlab/"):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ClassDef):
                    homes[node.name].append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_a_run_is_a_facade() -> None:
    """It owns a game, what is written, and a timetable; hooks find the rest through properties that a type checker sees."""
    owned = vars(prepare())
    assert {"game", "written", "timetable"} <= owned.keys()
    assert len(owned) < 14
    assert "__getattr__" not in vars(Run)
