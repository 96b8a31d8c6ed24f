{% macro postgres__create_table_as(temporary, relation, sql) %}
    {%- if temporary and is_streamed() %}
    create temporary table {{ relation }}
    {% if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    as ({{ sql }})
    with no data
    {%- else -%}
    {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- endif %}
{% endmacro %}
