{% test stretches_are_nested(model, columns, first_day, last_day) %}
{#
    Fails for each pair of rows with the same key whose days overlap, unless
    the days of one all lie inside the other's and it has fewer. Both days are
    included. Of the stretches that cover a day one is then the shortest.
#}
with numbered as (

    select
        *,
        row_number() over (
            order by
                {{ columns | join(', ') }}, {{ first_day }}, {{ last_day }}
        ) as row_position
    from {{ model }}

)

select
    {% for column in columns %}
    one.{{ column }},
    {% endfor %}
    one.{{ first_day }} as first_day,
    one.{{ last_day }} as last_day,
    other.{{ first_day }} as other_first_day,
    other.{{ last_day }} as other_last_day
from numbered as one
inner join numbered as other
    on
        one.row_position < other.row_position
        {% for column in columns %}
        and one.{{ column }} is not distinct from other.{{ column }}
        {% endfor %}
        and one.{{ first_day }} <= other.{{ last_day }}
        and other.{{ first_day }} <= one.{{ last_day }}
where
    one.{{ last_day }} - one.{{ first_day }}
    = other.{{ last_day }} - other.{{ first_day }}
    or not (
        one.{{ first_day }} <= other.{{ first_day }}
        and other.{{ last_day }} <= one.{{ last_day }}
        or other.{{ first_day }} <= one.{{ first_day }}
        and one.{{ last_day }} <= other.{{ last_day }}
    )
{% endtest %}
