{% macro has_unreadable(response) -%}
    coalesce({{ response }}.refused_event_ids @> 'null'::jsonb, false)
{%- endmacro %}
