{% macro american_to_decimal(price) -%}
    round(
        case
            when ({{ price }}) >= 100
                then 1 + ({{ price }})::numeric / 100
            when ({{ price }}) <= -100
                then 1 - 100 / ({{ price }})::numeric
        end,
        8
    )::numeric(14, 8)
{%- endmacro %}
