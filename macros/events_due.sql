{% macro events_due(events) -%}
    select event_id as row_key
    from {{ events }}
    where
        exists (
            select
            from {{ generate_schema_name('ops', none) }}.due_rows as everything
            where
                everything.model_name = '{{ this.identifier }}'
                and everything.told_by <> 'deploy'
                and everything.row_key = '*'
        )
{%- endmacro %}
