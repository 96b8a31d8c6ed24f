{% macro ids_to_map(events, games, due_rows) -%}
    select array['odds_api', event_id]::text as row_key
    from {{ events }}

    union all

    select
        array['balldontlie', balldontlie_game_id::text]::text
            as row_key
    from {{ games }}
    where balldontlie_game_id is not null

    union all

    select array['balldontlie', (row_key::text[])[4]]::text
    from {{ due_rows }}
    where
        model_name = 'game_id_map' and told_by = 'games' and row_key <> '*'
{%- endmacro %}
