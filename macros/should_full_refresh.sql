{% macro should_full_refresh() %}
    {{- return(
        dbt.should_full_refresh() or model.name in var('remade', [])
    ) -}}
{% endmacro %}
