-- One plain select, no CTEs: PostgreSQL pushes no join condition into a view
-- that has any, and would read all that was ever landed to find a few rows.
select
    -- ids
    source.stat_id as balldontlie_stat_id,
    source.game_id as balldontlie_game_id,
    source.request_id,
    (source.payload -> 'player' ->> 'id')::bigint as balldontlie_player_id,
    (source.payload -> 'team' ->> 'id')::integer as balldontlie_team_id,

    -- text
    source.payload ->> 'min' as minutes_text,
    source.payload_hash,

    -- box score
    (source.payload ->> 'pts')::integer as points,
    (source.payload ->> 'fgm')::integer as field_goals_made,
    (source.payload ->> 'fga')::integer as field_goals_attempted,
    (source.payload ->> 'fg3m')::integer as three_pointers_made,
    (source.payload ->> 'fg3a')::integer as three_pointers_attempted,
    (source.payload ->> 'ftm')::integer as free_throws_made,
    (source.payload ->> 'fta')::integer as free_throws_attempted,
    (source.payload ->> 'oreb')::integer as offensive_rebounds,
    (source.payload ->> 'dreb')::integer as defensive_rebounds,
    (source.payload ->> 'ast')::integer as assists,
    (source.payload ->> 'stl')::integer as steals,
    (source.payload ->> 'blk')::integer as blocks,
    (source.payload ->> 'turnover')::integer as turnovers,
    (source.payload ->> 'pf')::integer as personal_fouls,

    -- times
    source.captured_at,

    -- load
    source._dlt_load_id as load_id
from {{ source('balldontlie', 'stats') }} as source
