{% macro surrogate_key(columns) -%}
    {%- if columns is string or columns | length == 0 -%}
        {{- exceptions.raise_compiler_error(
            "surrogate_key wants a list of columns or expressions, got: "
            ~ columns
        ) -}}
    {%- endif -%}
    md5(
        {%- for column in columns %}
        coalesce(
            length(({{ column }})::text)::text || ':' || ({{ column }})::text,
            '-'
        )
        {%- if not loop.last %} || {% endif -%}
        {%- endfor %}
    )::uuid
{%- endmacro %}
