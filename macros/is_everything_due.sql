{% macro is_everything_due() -%}
    exists (
        select
        from {{ generate_schema_name('ops', none) }}.due_rows as everything
        where
            everything.model_name = '{{ this.identifier }}'
            and everything.row_key = '*'
    )
{%- endmacro %}
