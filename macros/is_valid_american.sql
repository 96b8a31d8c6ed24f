{% macro is_valid_american(price) -%}
    coalesce(
        abs({{ price }}) >= 100
        and abs({{ price }}) < 10000000
        and {{ price }} = trunc({{ price }}),
        false
    )
{%- endmacro %}
