"""Each need is met by one mechanism, which has one home; a second one is found here."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from nif.database import Base
from nif.jobs.worker import Worker
from nif.services import Services
from nif.settings import PROJECT
from nif.web.access import STAFF_ACCESS
from tests.rules.source import modules, nodes, templates


def method_calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in nodes(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == name
        ):
            yield node


def pages_of_its_own(tree: ast.AST) -> bool:
    """Whether code skips rows, reads one row too many, or takes a cursor apart."""
    one_too_many = [
        call
        for call in method_calls(tree, "limit")
        if isinstance(call.args[0], ast.BinOp) and ast.unparse(call.args[0]).endswith("+ 1")
    ]
    cursors = [
        call
        for name in ("partition", "rpartition", "split", "join")
        for call in method_calls(tree, name)
        if "'~'" in ast.unparse(call)
    ]
    answers = [
        node
        for node in nodes(tree)
        if isinstance(node, ast.Constant) and node.value == "There is no such page."
    ]
    return bool(one_too_many or cursors or answers or any(method_calls(tree, "offset")))


def free_slugs_of_its_own(tree: ast.AST) -> bool:
    """Whether code looks for the slugs that begin alike."""
    return any(
        re.search(r"slug\.(startswith|like)$|^column\.startswith$", ast.unparse(call.func))
        for name in ("startswith", "like")
        for call in method_calls(tree, name)
    )


def address_rules_of_its_own(tree: ast.AST) -> bool:
    """Whether code asks the library for email addresses."""
    return any(
        "email_validator" in ast.unparse(node)
        for node in nodes(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    )


def conditions_of_its_own(tree: ast.AST) -> bool:
    """Whether code decides by the field of a segment's condition what it means."""
    subjects = [
        node.subject if isinstance(node, ast.Match) else node.left
        for node in nodes(tree)
        if isinstance(node, ast.Match | ast.Compare)
    ]
    return any(re.search(r"\b(condition|row)\.field$", ast.unparse(one)) for one in subjects)


MECHANISMS: dict[str, tuple[str, Callable[[ast.AST], bool], str]] = {
    "pages of lists": ("nif/paging.py", pages_of_its_own, "select(Story).limit(size + 1)"),
    "free slugs": ("nif/slugs.py", free_slugs_of_its_own, "Story.slug.startswith(wanted)"),
    "email addresses": (
        "nif/mail/addresses.py",
        address_rules_of_its_own,
        "from email_validator import validate_email",
    ),
    "segments as SQL": (
        "nif/subscribers/segment_queries.py",
        conditions_of_its_own,
        "match condition.field:\n    case 'list':\n        pass",
    ),
}
"""Of each mechanism: its home, what finds another one, and code that would be one."""


@pytest.mark.parametrize("name", MECHANISMS)
def test_each_mechanism_is_in_one_module(name):
    home, is_another, _ = MECHANISMS[name]

    assert [path for path, tree in modules().items() if is_another(tree)] == [home]


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_second_mechanism_for_the_same_need_is_found(name):
    _, is_another, example = MECHANISMS[name]

    assert is_another(ast.parse(example))


LINK_TO_A_PAGE = re.compile(r"[?&;](after|before)=|(after|before)=\w+\.(after|before)")


def test_links_between_pages_are_made_in_one_place():
    found = [
        path.relative_to(PROJECT).as_posix()
        for path in templates()
        if LINK_TO_A_PAGE.search(path.read_text())
    ]

    assert found == ["templates/parts/pages.html"]


# Claiming rows: nif/claims.py is its one home.

SKIPS_LOCKED_ROWS = {
    "nif/claims.py": {"claim_rows"},
    # A send is shared by many workers at once, and its events by all of them.
    "nif/sends/batches.py": None,
    "nif/sends/provider_events.py": {"process_next_event_post"},
    # These claim nothing: they leave rows in use for the next time.
    "nif/privacy/retention.py": {"delete_unconfirmed"},
    "nif/subscriptions/suppression_outbox.py": {"prune_suppression_outbox"},
}
"""What may pass over locked rows, by module; None allows the whole module."""

LEASE_COLUMN = re.compile(r"lease|claimed|holder|(?:next|retry|try|process)_(?:\w+_)?at\b")
COLUMNS_OF_SENDS = {
    "lease.holder",
    "batch.lease_id",
    "attempt.lease_id",
    "circuit_breaker.retry_at",
}


def test_only_one_module_claims_rows() -> None:
    found: dict[str, set[str]] = {}
    for path, tree in modules().items():
        for part in tree.body:
            keywords = (node.arg for node in ast.walk(part) if isinstance(node, ast.keyword))
            if "skip_locked" in keywords:
                found.setdefault(path, set()).add(getattr(part, "name", "a statement"))

    assert "nif/claims.py" in found
    assert {
        path: names - allowed
        for path, names in found.items()
        if (allowed := SKIPS_LOCKED_ROWS.get(path, set())) is not None and names - allowed
    } == {}


def test_no_table_has_a_second_kind_of_lease() -> None:
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
    }

    assert "transactional_email.due_at" in columns
    found = {name for name in columns if LEASE_COLUMN.search(name.partition(".")[2])}
    assert found - COLUMNS_OF_SENDS == set()


# The worker's jobs: one table in nif/jobs/worker.py.


def test_each_wake_up_names_an_existing_job_of_the_worker(services: Services) -> None:
    woken = {
        call.args[0].value
        for tree in modules().values()
        for call in method_calls(tree, "wake")
        if isinstance(call.args[0], ast.Constant)
    }

    assert len(woken) > 3
    assert woken <= set(Worker(services).jobs)


def test_each_job_runs_periodically_or_is_woken(services: Services) -> None:
    jobs = Worker(services).jobs

    assert [name for name, job in jobs.items() if job.seconds is None] == ["deliver_send"]


# What staff do: nif/web/staff_actions.py makes the views.

MADE_BY_HAND = {
    "nif/web/newsroom/live_preview.py": "it shows what is typed and saves nothing",
    "nif/web/newsroom/stories.py": "the story form has its own protocol and saves while one types",
}
"""The modules in which a view that staff post to is no staff action, and why."""


def posts_of_staff(tree: ast.AST) -> Iterator[str]:
    """The views that staff post to and that declare their access without `staff_action`."""
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef):
            lines = [ast.unparse(decorator) for decorator in node.decorator_list]
            is_post = any(re.match(r"\w+\.(post|route)\(", line) for line in lines)
            if is_post and any(re.match(rf"open_to\(Access\.({STAFF})\)", line) for line in lines):
                yield node.name


STAFF = "|".join(access.name for access in STAFF_ACCESS)


def test_each_form_that_staff_post_is_a_staff_action() -> None:
    found = {path for path, tree in modules().items() if any(posts_of_staff(tree))}

    assert found == MADE_BY_HAND.keys()


def test_a_staff_action_made_in_another_way_is_found() -> None:
    view = "@blueprint.post('/')\n@open_to(Access.ADMIN)\ndef delete(): ..."

    assert list(posts_of_staff(ast.parse(view))) == ["delete"]


def has_a_form_protocol_of_its_own(tree: ast.AST) -> bool:
    """Whether code reads fields of a request itself, or hands problems of fields on by hand.

    What a view may do with `request.form` is give it to a form.
    """
    given = {
        id(argument) for node in nodes(tree) if isinstance(node, ast.Call) for argument in node.args
    }
    return any(id(node) not in given and _is_form_by_hand(node) for node in nodes(tree))


def _is_form_by_hand(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="request"), attr="form"):
            return True
        case ast.ClassDef(name=name, decorator_list=decorators):
            return name.endswith("Form") and "dataclass" in "".join(map(ast.unparse, decorators))
        case ast.FunctionDef(name=name):
            return re.fullmatch(r"_?read_(\w+_)?form", name) is not None
        case ast.Call(func=ast.Name(id="render_template"), keywords=keywords):
            return any(keyword.arg == "problems" for keyword in keywords)
    return False


STORY_FORM = "the story form saves itself while one writes; its fields come and go by script"
WHOLE_REQUEST = "it looks at every field of every form, whichever they are"
FORMS_BY_HAND = {
    "nif/web/errors.py": WHOLE_REQUEST,
    "nif/web/security.py": WHOLE_REQUEST,
    "nif/web/newsroom/stories.py": STORY_FORM,
    "nif/web/newsroom/story_form.py": STORY_FORM,
    "nif/web/newsroom/live_preview.py": STORY_FORM,
}
"""Modules that read forms without `nif/web/forms.py`, and why."""


def test_forms_are_made_in_one_way():
    found = {
        path
        for path, tree in modules().items()
        if path.startswith("nif/web/") and has_a_form_protocol_of_its_own(tree)
    }

    assert found == FORMS_BY_HAND.keys()


@pytest.mark.parametrize(
    "example",
    [
        "email = request.form.get('email', '')",
        "is_all = 'all' in request.form",
        "def read_segment_form(values): ...",
        "@dataclass(frozen=True)\nclass ListForm: ...",
        "render_template('a.html', problems={})",
    ],
)
def test_a_form_made_in_another_way_is_found(example):
    assert has_a_form_protocol_of_its_own(ast.parse(example))


def test_a_view_that_gives_the_request_to_a_form_is_allowed():
    assert not has_a_form_protocol_of_its_own(ast.parse("form = ListForm(request.form)"))
