{% test validity_does_not_overlap(model, columns, valid_from, valid_to) %}
{#
    Fails for each pair of rows with the same key that are valid at the same
    time. The period includes `valid_from` and excludes `valid_to`; null means
    without end. A join as of a date then finds at most one row.
#}
with numbered as (

    select
        *,
        row_number() over (
            order by {{ columns | join(', ') }}, {{ valid_from }}
        ) as row_position
    from {{ model }}

)

select
    {% for column in columns %}
    earlier.{{ column }},
    {% endfor %}
    earlier.{{ valid_from }} as earlier_valid_from,
    later.{{ valid_from }} as later_valid_from
from numbered as earlier
inner join numbered as later
    on
        earlier.row_position < later.row_position
        {% for column in columns %}
        and earlier.{{ column }} is not distinct from later.{{ column }}
        {% endfor %}
        and coalesce(earlier.{{ valid_from }}, '-infinity')
            < coalesce(later.{{ valid_to }}, 'infinity')
        and coalesce(later.{{ valid_from }}, '-infinity')
            < coalesce(earlier.{{ valid_to }}, 'infinity')
{% endtest %}
