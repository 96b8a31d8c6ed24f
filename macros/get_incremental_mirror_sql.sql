{% macro get_incremental_mirror_sql(arg_dict) %}
    {%- set key = arg_dict["unique_key"] -%}
    {{ forget_missing(
        arg_dict["target_relation"],
        arg_dict["temp_relation"],
        [key] if key is string else key,
    ) }};
    {{ get_incremental_upsert_sql(arg_dict) }}
{% endmacro %}
