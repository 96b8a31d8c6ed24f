{% macro tell_due(consumer, key, rows) %}
    insert into {{ generate_schema_name('ops', none) }}.due_rows
    (model_name, told_by, row_key)
    select
        '{{ consumer }}' as model_name,
        '{{ this.identifier }}' as told_by,
        told.row_key
    from (
        select ({{ key }})::text as row_key
        from (
            {{ rows }}
        ) as changed
    ) as told
    where told.row_key is not null
    group by told.row_key
    order by told.row_key
    on conflict (model_name, told_by, row_key) do update set is_claimed = false
{% endmacro %}
