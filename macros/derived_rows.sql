{% macro derived_rows(arg_dict) -%}
    {%- if is_streamed() -%}
    ({{ model.compiled_code }}) as derived
    {%- else -%}
    {{ arg_dict["temp_relation"] }}
    {%- endif -%}
{%- endmacro %}
