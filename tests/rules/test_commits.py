import ast

from tests.rules.source import modules, nodes


def test_only_the_database_module_commits():
    committing = {
        path
        for path, tree in modules().items()
        for node in nodes(tree)
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    }

    assert committing == {"nif/database.py"}


def test_the_database_module_commits_in_one_place():
    tree = modules()["nif/database.py"]
    places = [n for n in nodes(tree) if isinstance(n, ast.Attribute) and n.attr == "commit"]

    assert len(places) == 1
