"""The macros that compute, rendered by dbt and evaluated by PostgreSQL.

Expected values come from outside: published examples, identities, exact fractions, tables of the normal distribution.
"""

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from hashlib import md5
from statistics import NormalDist, median
from typing import Any
from uuid import UUID

import pytest

from ops.warehouse import Connection
from tests.project.dbt_sandbox import Sandbox

KEY_PARTS = [
    ("'a'", "'bc'"),
    ("'ab'", "'c'"),
    ("'abc'", "''"),
    ("'abc'", "null::text"),
    ("'abc'", "'-'"),
    ("null::text", "'abc'"),
    ("''", "'abc'"),
    ("'abc'",),
    ("'1:a'", "'1:b'"),
    ("'1:a1:1'", "':b'"),
    ("null::text", "null::text"),
    ("null::text",),
]
"""Keys that run into each other if their parts are just put in a row."""

AMERICAN_PRICES = [sign * price for sign in (1, -1) for price in range(100, 10_001)]


def evaluate(database: Connection, expression: str, values: Sequence[Any], kind: str = "integer") -> list[Any]:
    """Evaluate a rendered expression over column `x`, once for each value, in order."""
    query = (
        f"select {expression} as result from unnest(%s::{kind}[])"
        " with ordinality as given (x, position) order by position"
    )
    with database.session() as session, session.cursor() as cursor:
        cursor.execute(query, (list(values),))
        return [row[0] for row in cursor.fetchall()]


def exact_decimal(american: int) -> Fraction:
    return 1 + (Fraction(american, 100) if american > 0 else Fraction(100, -american))


def is_rounded(value: Any, exact: Fraction, places: int) -> bool:
    """Whether the value is the exact one to so many places."""
    return abs(Fraction(value) - exact) <= Fraction(1, 2 * 10**places)


@pytest.fixture(scope="module")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The rendered macros of a column `x`; rendering needs no database."""
    names = ("american_to_decimal", "american_to_probability", "is_valid_american", "decimal_to_american")
    sandbox = Sandbox.create(tmp_path_factory.mktemp("macros") / "sandbox")
    return sandbox.rendered(
        {name: f"{{{{ {name}('x') }}}}" for name in (*names, "normal_cdf", "normal_quantile")}
        | {
            "shifted": "{{ american_to_decimal('x - 300') }}",
            "fair": "{{ american_to_probability('a') }} / ({{ american_to_probability('a') }}"
            " + {{ american_to_probability('b') }})",
            "band": "{{ devig_band(american_to_probability('a'), american_to_probability('b')) }}",
            "median": "{{ median_without('votes', 'position', 'cardinality(votes) - 1') }}",
        }
        | {f"key_{position}": f"{{{{ surrogate_key({list(parts)}) }}}}" for position, parts in enumerate(KEY_PARTS)}
    )


def test_conversions_agree_with_published_examples(conversions: dict[str, str], database: Connection) -> None:
    # R package odds.converter 1.4.8, tests; penaltyblog, docs/implied; bettingtools, README.
    published_decimals = {
        -111: "1.900901", 103: "2.03", 203: "3.03", 170: "2.7", 130: "2.3", 340: "4.4",
        -200: "1.5", -150: "1.6667", -110: "1.9091", 99: None, -27: None,
    }  # fmt: skip
    decimals = evaluate(database, conversions["american_to_decimal"], list(published_decimals))
    for (american, expected), actual in zip(published_decimals.items(), decimals, strict=True):
        if expected is None:
            assert actual is None, american
        else:
            assert is_rounded(actual, Fraction(expected), len(expected.partition(".")[2])), american

    published_probabilities = {
        -111: "0.5260664", 103: "0.4926108", 203: "0.3300330", -250: "0.7143", 600: "0.1429", 137: "0.4219",
        -110: "0.5238",
    }  # fmt: skip
    probabilities = evaluate(database, conversions["american_to_probability"], list(published_probabilities))
    for (american, expected), actual in zip(published_probabilities.items(), probabilities, strict=True):
        assert is_rounded(actual, Fraction(expected), len(expected.partition(".")[2])), american

    published_americans = {"1.9": -111, "2.5": 150, "1.1": -1000, "3000": 299900, "0.1": None, "-0.23": None, "1": None}
    americans = evaluate(database, conversions["decimal_to_american"], list(published_americans), "numeric")
    assert americans == list(published_americans.values())


def test_two_places_lose_the_american_price(conversions: dict[str, str], database: Connection) -> None:
    # What bettors see, -300 as 1.33, does not come back: why the American price is what is kept.
    published = {-150: -149, -300: -303, -113: -114, -117: -118, -121: -120, -107: -108}
    shown = conversions["american_to_decimal"].join(["round(", ", 2)"])
    back = conversions["decimal_to_american"].replace("x", f"({shown})")
    assert evaluate(database, back, list(published)) == list(published.values())


def test_every_american_price_survives_its_decimal(conversions: dict[str, str], database: Connection) -> None:
    decimals = evaluate(database, conversions["american_to_decimal"], AMERICAN_PRICES)
    back = evaluate(database, conversions["decimal_to_american"], decimals, "numeric")
    assert back == [100 if price == -100 else price for price in AMERICAN_PRICES], "-100 is the same price as +100"


def test_conversions_are_exact_to_their_last_place(conversions: dict[str, str], database: Connection) -> None:
    decimals = evaluate(database, conversions["american_to_decimal"], AMERICAN_PRICES)
    probabilities = evaluate(database, conversions["american_to_probability"], AMERICAN_PRICES)
    exact = [exact_decimal(price) for price in AMERICAN_PRICES]
    assert all(is_rounded(value, expected, 8) for value, expected in zip(decimals, exact, strict=True))
    assert all(is_rounded(value, 1 / expected, 10) for value, expected in zip(probabilities, exact, strict=True))
    assert all(0 < value < 1 for value in probabilities)


def test_no_price_stands_between_minus_and_plus_100(conversions: dict[str, str], database: Connection) -> None:
    values = [*range(-101, 102), None]
    is_price = [value is not None and abs(value) >= 100 for value in values]
    assert evaluate(database, conversions["is_valid_american"], values) == is_price
    for name in ("american_to_decimal", "american_to_probability"):
        results = evaluate(database, conversions[name], values)
        assert [result is not None for result in results] == is_price, name


def test_a_calculation_may_be_converted(conversions: dict[str, str], database: Connection) -> None:
    [decimal] = evaluate(database, conversions["shifted"], [150])
    assert is_rounded(decimal, exact_decimal(-150), 8)


def evaluate_pairs(database: Connection, expression: str, pairs: Sequence[tuple[int, int]]) -> list[Any]:
    """Evaluate a rendered expression over two American prices `a` and `b` of one market."""
    query = (
        f"select {expression} from unnest(%s::integer[], %s::integer[])"
        " with ordinality as given (a, b, position) order by position"
    )
    with database.session() as session, session.cursor() as cursor:
        cursor.execute(query, ([a for a, _ in pairs], [b for _, b in pairs]))
        return [row[0] for row in cursor.fetchall()]


def test_fair_probabilities_agree_with_published_examples(conversions: dict[str, str], database: Connection) -> None:
    # odds.converter: exact fractions. bettingtools US2Fair(150, -200): fair +166.67 against -166.67.
    published = {
        (-110, -110): Fraction(1, 2),
        (-120, -100): Fraction(12, 23),
        (-100, -120): Fraction(11, 23),
        (150, -200): Fraction(3, 8),
        (-125, 120): Fraction(55, 100),
        (120, -125): Fraction(45, 100),
    }
    fair = evaluate_pairs(database, conversions["fair"], list(published))
    assert [float(value) for value in fair] == pytest.approx([float(p) for p in published.values()], abs=1e-9)


def test_the_band_of_devig_methods_is_that_of_their_formulas(conversions: dict[str, str], database: Connection) -> None:
    # By hand: -300/+240 is .71831 multiplicative and .72850 by odds ratio; at equal prices all methods agree.
    pairs = [(-300, 240), (240, -300), (-110, -110), (-5000, 1400), (105, -125)]
    bands = [float(band) for band in evaluate_pairs(database, conversions["band"], pairs)]
    assert bands[0] == pytest.approx(0.72850 - 0.71831, abs=1e-5)
    assert bands[2] == 0
    for (a, b), band in zip(pairs, bands, strict=True):
        p, q = 1 / exact_decimal(a), 1 / exact_decimal(b)
        roots = [math.sqrt(side / (1 - side)) for side in (p, q)]
        answers = [float(p / (p + q)), float(p - (p + q - 1) / 2), roots[0] / sum(roots)]
        assert band == pytest.approx(max(answers) - min(answers), abs=1e-9), (a, b)


def test_the_additive_method_is_never_at_the_edge_of_the_band(
    conversions: dict[str, str], database: Connection
) -> None:
    # Every booksum from 1 to 2, up to the longest and shortest prices there are: the band, which is computed from the
    # other two methods, is that of all three. On implied probabilities rounded to ten places, as they are kept.
    prices = [sign * price for sign in (1, -1) for price in (100, 101, 110, 150, 300, 1000, 5000, 10**5, 10**7 - 1)]
    implied = {price: Fraction(round(10**10 / exact_decimal(price)), 10**10) for price in prices}
    pairs = [(a, b) for a in prices for b in prices if implied[a] + implied[b] >= 1]
    assert len(pairs) > len(prices) ** 2 / 2
    for (a, b), band in zip(pairs, evaluate_pairs(database, conversions["band"], pairs), strict=True):
        p, q = implied[a], implied[b]
        odds = math.sqrt(p / (1 - p) * (1 - q) / q)
        answers = [float(p / (p + q)), float(p - (p + q - 1) / 2), odds / (1 + odds)]
        assert float(band) == pytest.approx(max(answers) - min(answers), abs=1e-10), (a, b)


def test_the_median_of_the_others_leaves_one_vote_out(conversions: dict[str, str], database: Connection) -> None:
    votes = [Decimal(vote) / 100 for vote in (41, 44, 45, 52, 53, 60, 71)]
    with database.session() as session, session.cursor() as cursor:
        for count in range(2, len(votes) + 1):
            for position in range(1, count + 1):
                cursor.execute(
                    f"select {conversions['median']} from (select %s::numeric[], %s::int) as given (votes, position)",
                    (votes[:count], position),
                )
                others = votes[: position - 1] + votes[position:count]
                assert cursor.fetchall() == [(median(others),)], (count, position)


def test_the_normal_distribution_is_that_of_the_tables(conversions: dict[str, str], database: Connection) -> None:
    cdf, quantile = conversions["normal_cdf"], conversions["normal_quantile"]

    # Abramowitz and Stegun, Handbook of Mathematical Functions, table 26.1, and the usual critical values.
    table = {
        0.0: 0.5,
        1.0: 0.841344746068543,
        2.0: 0.977249868051821,
        3.0: 0.998650101968370,
        1.959963984540054: 0.975,
        -1.959963984540054: 0.025,
    }
    assert evaluate(database, cdf, list(table), "float8") == pytest.approx(list(table.values()), abs=1e-15)
    middle = [(x, p) for x, p in table.items() if 0.001 < p < 0.999]
    quantiles = evaluate(database, quantile, [p for _, p in middle], "float8")
    assert quantiles == pytest.approx([x for x, _ in middle], abs=1e-12)

    xs = [step / 50 for step in range(-2000, 2001)]
    expected = [math.erfc(-x / math.sqrt(2)) / 2 for x in xs]
    assert evaluate(database, cdf, xs, "float8") == pytest.approx(expected, abs=1e-15)

    ps = [
        *(step / 2000 for step in range(1, 2000)),
        *(10.0**-power for power in range(4, 300, 5)),
        *(1 - 10.0**-power for power in range(4, 16)),
    ]
    expected = [NormalDist().inv_cdf(p) for p in ps]
    assert evaluate(database, quantile, ps, "float8") == pytest.approx(expected, abs=1e-15)

    assert evaluate(database, cdf, [None, -1e300, 1e300], "float8") == [None, pytest.approx(0, abs=1e-15), 1]
    assert evaluate(database, quantile, [None, 0, 1, -0.1, 1.1], "float8") == [None] * 5


def test_different_keys_differ(conversions: dict[str, str], database: Connection) -> None:
    keys = [
        evaluate(database, f"({conversions[f'key_{position}']})::text", [1])[0] for position in range(len(KEY_PARTS))
    ]
    assert len(set(keys)) == len(KEY_PARTS)
    assert UUID(keys[0]) == UUID(md5(b"1:a2:bc").hexdigest())


def test_a_key_of_one_column_by_name_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match="surrogate_key wants a list of columns or expressions, got: event_id"):
        sandbox.rendered({"key": "{{ surrogate_key('event_id') }}"})


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        ("2026-11-23T18:00:00+00:00", "2026-11-23T18:00:00+00:00"),
        ("2026-11-23T18:00:00Z", "2026-11-23T18:00:00+00:00"),
        ("2026-11-01T01:30:00-05:00", "2026-11-01T06:30:00+00:00"),
    ],
)
def test_now_is_the_var_as_of_in_utc(sandbox: Sandbox, given: str, instant: str) -> None:
    rendered = sandbox.rendered({"now": "{{ as_of() }}"}, "--vars", f'{{"as_of": "{given}"}}')
    assert rendered["now"] == f"timestamptz '{instant}'"


def test_now_is_when_dbt_began_without_the_var(sandbox: Sandbox) -> None:
    rendered = sandbox.rendered({"now": "{{ as_of() }}", "again": "{{ as_of() }}"})
    assert re.fullmatch(r"timestamptz '\d{4}-\d\d-\d\dT[\d:.]+\+00:00'", rendered["now"])
    assert rendered["now"] == rendered["again"]


def test_now_without_a_zone_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match="2026-11-23T18:00:00, which says no time zone"):
        sandbox.rendered({"now": "{{ as_of() }}"}, "--vars", '{"as_of": "2026-11-23T18:00:00"}')
