{% macro american_to_probability(price) -%}
    round(
        case
            when ({{ price }}) >= 100
                then 100 / (({{ price }})::numeric + 100)
            when ({{ price }}) <= -100
                then ({{ price }})::numeric / (({{ price }})::numeric - 100)
        end,
        10
    )::numeric(12, 10)
{%- endmacro %}
