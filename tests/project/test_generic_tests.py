"""The generic tests pass on good rows and name the bad ones."""

from ops.warehouse import Connection
from tests.project.dbt_sandbox import Sandbox

MODEL = """
select *
from (
    values
    ('a', 'x', 1::numeric, 0.5::numeric, date '2024-01-01', date '2024-06-01'),
    ('a', 'y', 2, 0.5, '2024-06-01', null),
    ('b', 'x', 3, 0.4, null, '2024-01-01'),
    ('b', 'x', 3, 0.6, '2024-01-01', null),
    ('c', 'z', null, 1.0, null, null),
    ('c', 'w', null, null, '2024-01-01', '2024-02-01')
) as given (team, name, size, share, valid_from, valid_to)
"""

CASES = {
    "combination_unique": ("unique_combination: {arguments: {columns: [team, name, share]}}", 0),
    "combination_twice": ("unique_combination: {arguments: {columns: [team, name]}}", 1),
    "expression_true": ("expression_is_true: {arguments: {expression: size is null or size > 0}}", 0),
    "expression_null_fails": ("expression_is_true: {arguments: {expression: size > 0}}", 2),
    "expression_false": ("expression_is_true: {arguments: {expression: size is null or size <> 3}}", 2),
    "sum_right": (
        "sums_to: {arguments: {expression: share, total: 1, group_by: [team]}, config: {where: share < 1}}",
        0,
    ),
    "sum_with_a_null": ("sums_to: {arguments: {expression: share, total: 1, group_by: [team]}}", 1),
    "sum_wrong": (
        "sums_to: {arguments: {expression: share, total: 0.9, group_by: [team]}, config: {where: share < 1}}",
        2,
    ),
    "sum_tolerated": (
        "sums_to: {arguments: {expression: share, total: 0.9, group_by: [team], tolerance: 0.1},"
        " config: {where: share < 1}}",
        0,
    ),
    "validity_apart": (
        "validity_does_not_overlap: {arguments: {columns: [team], valid_from: valid_from, valid_to: valid_to},"
        " config: {where: team <> 'c'}}",
        0,
    ),
    "validity_overlaps": (
        "validity_does_not_overlap: {arguments: {columns: [team], valid_from: valid_from, valid_to: valid_to}}",
        1,
    ),
}
COLUMN_CASES = {
    "range_kept": ("accepted_range: {arguments: {min_value: 1, max_value: 3}}", 0),
    "range_below": ("accepted_range: {arguments: {min_value: 2}}", 1),
    "range_above": ("accepted_range: {arguments: {max_value: 2}}", 2),
    "range_of_the_row": ("accepted_range: {arguments: {max_value: share}}", 4),
    "expression_on_a_column": ("expression_is_true: {arguments: {expression: size is null or size < 3}}", 2),
}

STRETCHES = """
select *
from (
    values
    ('apart', date '2024-01-01', date '2024-01-10'),
    ('apart', '2024-01-11', '2024-01-20'),
    ('inside', '2024-01-01', '2024-01-10'),
    ('inside', '2024-01-03', '2024-01-10'),
    ('inside', '2024-01-05', '2024-01-05'),
    ('across', '2024-01-01', '2024-01-10'),
    ('across', '2024-01-10', '2024-01-11'),
    ('twice', '2024-01-01', '2024-01-10'),
    ('twice', '2024-01-01', '2024-01-10')
) as given (calendar, first_day, last_day)
"""
STRETCH_CASES = {
    f"stretches_{calendar}": (
        "stretches_are_nested: {arguments: {columns: [calendar], first_day: first_day, last_day: last_day},"
        f" config: {{where: calendar = '{calendar}'}}}}",
        bad,
    )
    for calendar, bad in {"apart": 0, "inside": 0, "across": 1, "twice": 1}.items()
}


def named(name: str, case: str) -> str:
    kind, _, rest = case.partition(": {")
    return f"{kind}: {{name: {name}, {rest}"


def test_each_generic_test_finds_its_bad_rows(sandbox: Sandbox, warehouse: Connection) -> None:
    sandbox.write("models/given.sql", MODEL)
    lines = ["models:", "  - name: given", "    data_tests:"]
    lines += [f"      - {named(name, case)}" for name, (case, _) in CASES.items()]
    lines += ["    columns:", "      - name: size", "        data_tests:"]
    lines += [f"          - {named(name, case)}" for name, (case, _) in COLUMN_CASES.items()]
    sandbox.write("models/stretches.sql", STRETCHES)
    lines += ["  - name: stretches", "    data_tests:"]
    lines += [f"      - {named(name, case)}" for name, (case, _) in STRETCH_CASES.items()]
    sandbox.write("models/given.yml", "\n".join(lines))

    outcome = sandbox.dbt("build")

    assert outcome.error is None, outcome.error
    for name, (_, bad) in (CASES | COLUMN_CASES | STRETCH_CASES).items():
        expected = ("fail", f"Got {bad} result{'s' if bad > 1 else ''}, configured to fail if != 0")
        actual = (outcome.statuses[name], outcome.messages[name])
        assert actual == (expected if bad else ("pass", "")), name


def test_a_range_without_a_bound_is_refused(sandbox: Sandbox, warehouse: Connection) -> None:
    sandbox.write("models/given.sql", MODEL)
    sandbox.write(
        "models/given.yml",
        "models: [{name: given, columns: [{name: size, data_tests: [{accepted_range: {name: boundless}}]}]}]",
    )
    outcome = sandbox.dbt("build")
    said = str(outcome.error) + "".join(outcome.messages.values())
    assert "accepted_range on size has no bound: give min_value, max_value or both" in said
