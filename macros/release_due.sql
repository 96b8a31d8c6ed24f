{% macro release_due() %}
    delete from {{ generate_schema_name('ops', none) }}.due_rows
    where model_name = '{{ this.identifier }}' and is_claimed
{% endmacro %}
