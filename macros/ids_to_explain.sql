{% macro ids_to_explain(events, due_rows) -%}
    select array['odds_api', event_id]::text as row_key
    from {{ events }}

    union all

    select array['balldontlie', row_key]::text
    from {{ due_rows }}
    where
        model_name = 'unmatched_events'
        and told_by = 'game_versions'
        and row_key <> '*'

    union all

    select array[source, source_id]::text
    from {{ this }}
    where reason = 'no_odds_near_start'
{%- endmacro %}
