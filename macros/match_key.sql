{% macro match_key(
    id='null',
    league='null',
    home_team_id='null',
    away_team_id='null',
    commences_at='changed.commences_at',
    game_date_et='null::date',
    balldontlie_game_id='null'
) -%}
    array[
        {{ id }}::text,
        {{ league }}::text,
        {{ home_team_id }}::text,
        {{ away_team_id }}::text,
        coalesce(
            {{ commences_at }},
            {{ game_date_et }}::timestamp at time zone 'America/New_York'
        )::text,
        coalesce(
            {{ commences_at }},
            ({{ game_date_et }} + 1)::timestamp at time zone 'America/New_York'
        )::text,
        {{ balldontlie_game_id }}::text
    ]
{%- endmacro %}
