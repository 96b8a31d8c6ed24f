{% macro decimal_to_american(price) -%}
    round(
        case
            when ({{ price }}) >= 2 then 100 * (({{ price }})::numeric - 1)
            when ({{ price }}) > 1 then -100 / (({{ price }})::numeric - 1)
        end
    )::integer
{%- endmacro %}
