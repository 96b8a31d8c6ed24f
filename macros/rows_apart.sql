{% macro rows_apart(target, derived, key, columns, watched) -%}
    {%- set kept_row -%}
        lateral (
            select each_row.*
            from {{ target }} as each_row
            where
                {%- for column in key %}
                {% if not loop.first %}and {% endif -%}
                each_row.{{ column }} = derived.{{ column }}
                {%- endfor %}
            offset 0
        ) as kept
    {%- endset -%}
    {%- set differs -%}
        {%- for column in watched %}
        {% if not loop.first %}or {% endif -%}
        kept.{{ column }} is distinct from derived.{{ column }}
        {%- endfor %}
    {%- endset -%}
    select derived.{{ columns | join(", derived.") }}
    from {{ derived }} as derived
    left join {{ kept_row }} on true
    where kept.{{ key[0] }} is null or {{ differs }}

    union all

    select kept.{{ columns | join(", kept.") }}
    from {{ derived }} as derived
    cross join {{ kept_row }}
    where {{ differs }}
{%- endmacro %}
