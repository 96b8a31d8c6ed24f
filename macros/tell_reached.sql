{% macro tell_reached(events, games) -%}
    {%- if is_incremental() -%}
    insert into {{ generate_schema_name('ops', none) }}.due_rows
    (model_name, told_by, row_key)
    select
        '{{ this.identifier }}' as model_name,
        'games' as told_by,
        told.row_key
    from (
        select
            array[
                events.league,
                least(events.home_team_id, events.away_team_id),
                greatest(events.home_team_id, events.away_team_id),
                null
            ]::text as row_key
        from {{ this }} as kept
        inner join {{ events }} as events on kept.source_id = events.event_id
        cross join
            lateral (
                select
                    events.commences_at > coalesce(
                        max(games.commences_at), '-infinity'::timestamptz
                    ) as is_beyond
                from {{ games }} as games
                where games.league = events.league
            ) as schedule
        where
            kept.source = 'odds_api'
            and kept.reason
            in ('not_in_schedule_yet', 'teams_never_meet', 'no_game_at_that_time')
            and (kept.reason = 'not_in_schedule_yet') <> schedule.is_beyond
    ) as told
    group by told.row_key
    order by told.row_key
    on conflict (model_name, told_by, row_key) do update set is_claimed = false
    {%- endif -%}
{%- endmacro %}
