import ast

from tests.rules.source import modules, nodes

ASKING = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime", "ctime", "strftime"}
MODULES = {"datetime", "date", "time", "func", "dt", "pendulum"}

JUSTIFIED = {
    ("nif/clock.py", "datetime.now"),
    # The provider tells when its limit ends in seconds of this clock.
    ("nif/mail/sendgrid.py", "time.time"),
    # A form's ticket is dated and read by the same clock, in the door.
    ("nif/web/public/page_cache.py", "time"),
    ("nif/web/public/signup_guard.py", "time"),
}


def names_from_time(tree):
    """The names under which a module has functions of `time` at hand."""
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (alias.asname or alias.name for alias in node.names if alias.name in ASKING)


def questions(tree):
    """Every call that asks what time it is, as `module.function`. Monotonic clocks are free."""
    at_hand = set(names_from_time(tree))
    for node in nodes(tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                if module in MODULES and name in ASKING:
                    yield f"{module}.{name}"
            case ast.Attribute(value=ast.Attribute(attr="datetime" | "date"), attr=name):
                if name in ASKING:
                    yield f"datetime.{name}"
            case ast.Name(id=name) if name in at_hand:
                yield name


def test_only_the_clock_module_reads_the_time():
    asking = {(path, question) for path, tree in modules().items() for question in questions(tree)}

    assert asking <= JUSTIFIED


def test_reading_the_time_is_found_in_every_form():
    source = """
from time import monotonic, time as now_in_seconds
datetime.now(UTC), datetime.datetime.utcnow(), date.today(), time.time(), func.now()
now_in_seconds(), time.monotonic(), monotonic(), moment.strftime("%d"), datetime.fromtimestamp(1)
"""
    assert sorted(questions(ast.parse(source))) == [
        "date.today",
        "datetime.now",
        "datetime.utcnow",
        "func.now",
        "now_in_seconds",
        "time.time",
    ]
