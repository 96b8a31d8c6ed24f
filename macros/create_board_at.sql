{% macro create_board_at() -%}
    -- By the rights of its owner, so that whoever may use the marts need not be
    -- let into the landing tables.
    do $create$
    declare
        definition constant text := $definition$
            create or replace function {{ this.schema }}.board_at (
                asked_at timestamptz
            )
            returns table (
                event_id text,
                market_id uuid,
                sport_key text,
                bookmaker_key text,
                market_key text,
                outcome_side text,
                outcome_name text,
                description text,
                line_points numeric,
                price_american integer,
                price_decimal numeric,
                implied_probability numeric,
                quoted_at timestamptz,
                changed_at timestamptz,
                seen_at timestamptz,
                price_age_seconds bigint,
                seen_age_seconds bigint,
                is_in_play boolean
            )
            language sql
            stable
            security definer
            set search_path = pg_catalog, pg_temp
            as $board_at$ {{ board_at('asked_at') }} $board_at$
        $definition$;
    begin
        execute definition;
    exception
        -- PostgreSQL replaces no function by one with other result columns.
        when invalid_function_definition then
            drop function if exists {{ this.schema }}.board_at (timestamptz);
            execute definition;
    end
    $create$;

    comment on function {{ this.schema }}.board_at (timestamptz) is
    'Markets on offer at an instant, one row per market: what, where, at what '
    'price, since when, when it was last seen, and whether the event had begun.'
{%- endmacro %}
