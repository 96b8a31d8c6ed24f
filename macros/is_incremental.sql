{% macro is_incremental() %}
    {{- return(
        dbt.is_incremental() and model.name not in var('refilled', [])
    ) -}}
{% endmacro %}
