"""The plan of the package: arrows between its packages, names of classes, sizes of calls."""

import ast
import pathlib
from collections import defaultdict
from collections.abc import Iterator

import pytest

import lagllama_jax

ROOT = pathlib.Path(lagllama_jax.__file__).parent
LAYERS = (
    ("cli",),
    ("app",),
    ("adapters", "causal", "distributed", "export"),
    ("forecaster",),
    ("training",),
    ("insight",),
    ("evaluation",),
    ("inference",),
    ("checkpoints",),
    ("corpus",),
    ("series",),
    ("model",),
    ("config",),
    ("typing", "errors", "files", "lock", "progress"),
)
"""Each may import from itself and from those below."""
HEIGHT = {name: -number for number, names in enumerate(LAYERS) for name in names}
MOST_PARAMETERS = 8
PUBLIC = {
    ("forecaster", "LagLlama"),
    ("methods", "FineTuned.fit"),
    ("forecast", "Forecast.plot"),
    ("nixtla", "CalledLikeNixtla.cross_validation"),
    ("folder", "forecast_folder"),
    ("spark", "forecast_df"),
    ("ray", "forecast_dataset"),
    ("dataframe", "read_frame"),
    ("impact", "impact"),
    ("what_if", "what_if"),
    ("granger", "predictive_causes"),
}
"""Calls that users make, by module and class or function; so are the commands' `main`s."""


def modules() -> Iterator[tuple[pathlib.Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text())


def package_of(path: pathlib.Path) -> str:
    return path.parts[0].removesuffix(".py")


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and package of every import from this package, wherever in the module it stands."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            root, *rest = name.split(".")
            if root == "lagllama_jax" and rest and rest != ["__version__"]:
                known = rest[0] in HEIGHT  # otherwise a class that the top of the package exports
                first = "" if known else getattr(lagllama_jax, rest[0]).__module__
                yield node.lineno, rest[0] if known else first.split(".")[1]


def public_classes() -> Iterator[tuple[str, pathlib.Path]]:
    for path, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, path


def functions(
    path: pathlib.Path, tree: ast.AST, inside: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method, also those within functions, with its qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inside + node.name, node
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from functions(path, node, f"{inside}{node.name}." if named else inside)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    several = [one for one in (given.vararg, given.kwarg) if one is not None]
    return len(set(names) - {"self", "cls"}) + len(several)


def is_public(path: pathlib.Path, name: str) -> bool:
    command = path.parts[0] == "cli" and "." not in name and not name.startswith("_")
    own = {(path.stem, name), (path.stem, name.split(".")[0])}
    return command or bool(own & PUBLIC)


def test_every_package_has_a_place_among_the_layers():
    packages = {package_of(path) for path, _ in modules()} - {"__init__"}
    assert packages <= HEIGHT.keys()


def test_imports_run_downwards_only():
    upwards = [
        f"{path}:{line} imports {name}"
        for path, tree in modules()
        if path.name != "__init__.py" or len(path.parts) > 1
        for line, name in imported(tree)
        if HEIGHT[name] > HEIGHT[package_of(path)]
    ]
    assert not upwards, "\n".join(upwards)


def test_no_public_class_name_exists_twice():
    places = defaultdict(list)
    for name, path in public_classes():
        places[name].append(str(path))
    twice = [f"{name}: {', '.join(paths)}" for name, paths in places.items() if len(paths) > 1]
    assert not twice, "\n".join(twice)


def test_only_what_users_call_has_many_parameters():
    many = [
        f"{path}: {name} has {count}"
        for path, tree in modules()
        for name, function in functions(path, tree)
        if (count := parameters(function)) > MOST_PARAMETERS and not is_public(path, name)
    ]
    assert not many, "\n".join(many)


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        ("def f():\n    from lagllama_jax.cli.main import main", ["cli"]),
        ("import lagllama_jax.model.rope", ["model"]),
        ("from lagllama_jax import LagLlama, __version__", ["forecaster"]),
        ("from lagllama_jax import ForecastConfig", ["config"]),
        ("import numpy", []),
    ],
)
def test_imports_are_found_wherever_they_stand(code, packages):
    assert [name for _, name in imported(ast.parse(code))] == packages


def test_parameters_are_counted_without_the_object_itself():
    tree = ast.parse("class A:\n  def f(self, a, /, b, *c, d, **e): pass")
    ((name, function),) = functions(pathlib.Path("a.py"), tree)
    assert (name, parameters(function)) == ("A.f", 5)
