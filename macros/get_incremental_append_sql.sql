{% macro get_incremental_append_sql(arg_dict) %}
    {%- set columns = arg_dict["dest_columns"]
        | map(attribute="quoted") | join(", ") -%}
    {%- for consumer, told in told_by_config().items() %}
    {{ tell_due(
        consumer, told.key, "select * from " ~ arg_dict["temp_relation"]
    ) }};
    {%- endfor %}
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ derived_rows(arg_dict) }}
{% endmacro %}
