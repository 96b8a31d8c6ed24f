{% macro forget_unpacked() -%}
    {%- set unpacked = adapter.get_relation(
        database=target.database,
        schema=generate_schema_name('intermediate', none),
        identifier='int_quotes_unpacked',
    ) -%}
    {%- if execute and unpacked -%}
    delete from {{ unpacked }}
    {%- endif -%}
{%- endmacro %}
