{% macro create_board_at() -%}
    -- A function gets no further column: the one without it goes.
    do $drop_other$
    begin
        if exists (
            select from pg_proc
            where
                oid = to_regprocedure(
                    '{{ this.schema }}.board_at(timestamptz)'
                )
                and proargnames [cardinality(proargnames)] <> 'is_in_play'
        )
        then
            drop function {{ this.schema }}.board_at (timestamptz);
        end if;
    end
    $drop_other$;

    -- By the rights of its owner, so that whoever may use the marts need not be
    -- let into the landing tables.
    create or replace function {{ this.schema }}.board_at (asked_at timestamptz)
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
    as $board_at$ {{ board_at('asked_at') }} $board_at$;

    comment on function {{ this.schema }}.board_at (timestamptz) is
    'Markets on offer at an instant, one row per market: what, where, at what '
    'price, since when, when it was last seen, and whether the event had begun.'
{%- endmacro %}
