{% macro tell_unmatched(events, games) -%}
    {%- if is_incremental() -%}
    {%- set due = generate_schema_name('ops', none) ~ '.due_rows' -%}
    insert into {{ due }} (model_name, told_by, row_key)
    select
        '{{ this.identifier }}' as model_name,
        '{{ events.identifier }}' as told_by,
        told.row_key
    from (
        select
            {{ match_key(
                'changed.event_id',
                'changed.league',
                'changed.home_team_id',
                'changed.away_team_id',
            ) }}::text as row_key
        from {{ this }} as kept
        cross join
            lateral (
                select events.*
                from {{ events }} as events
                where events.event_id = kept.source_id
                order by events.event_id
                offset 0
            ) as changed
        cross join
            lateral (
                select
                    changed.commences_at > coalesce(
                        max(games.commences_at), '-infinity'::timestamptz
                    ) as is_beyond
                from {{ games }} as games
                where games.league = changed.league
            ) as schedule
        where
            kept.source = 'odds_api'
            and (
                (
                    kept.reason in (
                        'not_in_schedule_yet',
                        'teams_never_meet',
                        'no_game_at_that_time'
                    )
                    and (kept.reason = 'not_in_schedule_yet')
                    <> schedule.is_beyond
                )
                or (
                    changed.league,
                    least(changed.home_team_id, changed.away_team_id),
                    greatest(changed.home_team_id, changed.away_team_id)
                ) in (
                    select
                        fixtures.match_key[2] as league,
                        least(fixtures.match_key[3], fixtures.match_key[4])
                            as first_team_id,
                        greatest(fixtures.match_key[3], fixtures.match_key[4])
                            as second_team_id
                    from (
                        select nullif(row_key, '*')::text[] as match_key
                        from {{ due }}
                        where
                            model_name = '{{ this.identifier }}'
                            and told_by
                            in ('{{ events.identifier }}', '{{ games.identifier }}')
                    ) as fixtures
                )
            )
    ) as told
    group by told.row_key
    order by told.row_key
    on conflict (model_name, told_by, row_key) do update set is_claimed = false
    {%- endif -%}
{%- endmacro %}
