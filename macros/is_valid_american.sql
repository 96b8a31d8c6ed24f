{% macro is_valid_american(price) -%}
    coalesce(abs({{ price }}) >= 100, false)
{%- endmacro %}
