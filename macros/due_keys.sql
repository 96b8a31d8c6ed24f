{% macro due_keys(told_by) -%}
    (
        select told.row_key
        from {{ generate_schema_name('ops', none) }}.due_rows as told
        where
            told.model_name = '{{ this.identifier }}'
            and told.told_by = '{{ told_by }}'
            and not {{ is_everything_due() }}
        offset 0
    )
{%- endmacro %}
