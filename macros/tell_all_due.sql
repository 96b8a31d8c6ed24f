{% macro tell_all_due() %}
    {%- set consumers = told_by_config().keys() | list %}
    {%- if consumers and not dbt.is_incremental() %}
    insert into {{ generate_schema_name('ops', none) }}.due_rows
    (model_name, told_by, row_key)
    values
    {%- for consumer in consumers %}
    ('{{ consumer }}', '{{ this.identifier }}', '*')
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
    on conflict (model_name, told_by, row_key) do update set is_claimed = false
    {%- endif %}
{% endmacro %}
