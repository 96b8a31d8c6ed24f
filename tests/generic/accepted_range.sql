{% test accepted_range(model, column_name, min_value=none, max_value=none) %}
{#
    Fails for each value below `min_value` or above `max_value`; the bounds
    themselves are accepted, and null is left to `not_null`. A bound is a
    number or any SQL expression over the row.
#}
{% if min_value is none and max_value is none %}
    {{ exceptions.raise_compiler_error(
        "accepted_range on " ~ column_name
        ~ " has no bound: give min_value, max_value or both"
    ) }}
{% endif %}
select *
from {{ model }}
where
    false
    {% if min_value is not none %}
    or {{ column_name }} < {{ min_value }}
    {% endif %}
    {% if max_value is not none %}
    or {{ column_name }} > {{ max_value }}
    {% endif %}
{% endtest %}
