{% macro analyze_grown() -%}
    {%- if
        execute
        and config.get('materialized') in ['incremental', 'table']
        and not config.get('unlogged')
    -%}
        {%- set found = run_query(
            "select pg_relation_size(oid) > "
            ~ "2 * 8192::bigint * (relpages + 64) as is_grown "
            ~ "from pg_class where oid = '"
            ~ this.include(database=false) ~ "'::regclass"
        ) -%}
        {%- if found.columns[0].values()[0] %}
            {%- do run_query("select pg_stat_force_next_flush()") %}
    analyze {{ this }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
