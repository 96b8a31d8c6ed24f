{% macro get_incremental_append_sql(arg_dict) %}
    {%- for consumer, told in told_by_config().items() %}
    {{ tell_due(
        consumer, told.key, "select * from " ~ arg_dict["temp_relation"]
    ) }};
    {%- endfor %}
    {{ default__get_incremental_append_sql(arg_dict) }}
{% endmacro %}
