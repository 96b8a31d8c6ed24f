{% macro is_streamed() %}
    {{- return(
        config.get('incremental_strategy') in ['append', 'upsert']
        and model.name not in var('refilled', [])
        and not told_by_config()
    ) -}}
{% endmacro %}
