{% macro is_silent_about(response, event_id) -%}
    (
        {{ response }}.refused_event_ids is not null
        and (
            {{ response }}.refused_event_ids @> to_jsonb({{ event_id }})
            or {{ has_unreadable(response) }}
        )
        and not exists (
            select 1
            from {{ ref('stg_odds_api__odds') }} as shown
            where
                shown.event_id = {{ event_id }}
                and shown.captured_at = {{ response }}.captured_at
                and shown.request_id = {{ response }}.request_id
        )
    )
{%- endmacro %}
