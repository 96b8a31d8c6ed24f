-- depends: 0008.due_rows

-- Events of a response whose element was refused, so that it is in no row of
-- this response although the source did list it: a JSON array of their ids, with
-- a null for each element whose id could not be read; null where all landed.
alter table staging_odds_api.responses add column refused_event_ids jsonb;

create index responses_curtailed on staging_odds_api.responses
(sport_key, captured_at) where refused_event_ids is not null;

-- What was refused before is known by its dead letter. The same element refused
-- in several responses is one letter, and names the last of them alone.
update staging_odds_api.responses as landed
set refused_event_ids = refused.event_ids
from (
    select
        letters.replay ->> 'request_id' as request_id,
        jsonb_agg(
            case
                when
                    jsonb_typeof(letters.payload -> 'id') = 'string'
                    and letters.payload ->> 'id' ~ '\S'
                    and length(letters.payload ->> 'id') <= 200
                    then letters.payload -> 'id'
                else 'null'
            end
            order by letters.dead_letter_id
        ) as event_ids
    from ops.dead_letters as letters
    where
        letters.kind = 'element'
        and letters.source = 'odds_api'
        and letters.endpoint in (
            'events', 'odds', 'scores', 'event_odds', 'historical_events',
            'historical_odds', 'historical_event_odds'
        )
    group by letters.replay ->> 'request_id'
) as refused
where landed.request_id = refused.request_id;

-- The models that read absence out of a response take those loads in again.
update ops.model_loads as claimed
set is_done = false
where
    claimed.source_schema = 'staging_odds_api'
    and claimed.model_name in (
        'markets', 'event_versions', 'odds_snapshots', 'closing_lines',
        'line_movements', 'consensus_movements', 'pick_clv'
    )
    and claimed.load_id in (
        select landed._dlt_load_id from staging_odds_api.responses as landed
        where landed.refused_event_ids is not null
    );
