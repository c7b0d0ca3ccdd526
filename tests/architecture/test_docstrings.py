"""Docstrings of the physics name every argument, and every source they cite exists."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

PACKAGE = pathlib.Path(__file__).parents[2] / "chase_jax"
KEYS = set(re.findall(r"@\w+\{([^,]+),", (PACKAGE / "references.bib").read_text()))
FILES = sorted((PACKAGE / "physics").glob("*.py")) + sorted((PACKAGE / "numerics").glob("*.py"))
FILES += sorted((PACKAGE / "signatures").glob("*.py"))
CITATION = re.compile(r"\b[a-z]+(?:19|20)\d\d[a-z]?\b")


def public_functions(path):
    """Public functions of a module and public methods of its public classes; not functions inside functions."""

    def within(body):
        for node in body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield node
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from within(node.body)

    yield from within(ast.parse(path.read_text()).body)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_argument_is_documented(path):
    missing = []
    for node in public_functions(path):
        text = ast.get_docstring(node) or ""
        arguments = [a.arg for a in node.args.args + node.args.kwonlyargs if a.arg not in ("self", "cls")]
        missing += [f"{node.name}({name})" for name in arguments if not re.search(rf"\b{name}\b", text)]
    assert not missing, f"{path.name}: these arguments are not in the docstring: {', '.join(missing)}"


def citing():
    """Every file that may cite: the package, the recipes, the experiments."""
    for folder in (PACKAGE, PACKAGE.parent / "data_prep", PACKAGE.parent / "experiments"):
        yield from sorted(folder.rglob("*.py"))


def test_every_cited_source_is_in_the_bibliography():
    unknown = []
    for path in citing():
        for key in CITATION.findall(path.read_text()):
            if key not in KEYS:
                unknown.append(f"{path.name}: {key}")
    assert not unknown, unknown


def test_the_bibliography_has_no_orphans():
    text = "\n".join(path.read_text() for path in citing()) + (PACKAGE.parent / "README.md").read_text()
    assert not [key for key in KEYS if key not in text]
