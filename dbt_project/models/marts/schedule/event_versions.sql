{%- set told = {
    'key': match_key('changed.event_id'),
    'watched': ['commences_at', 'superseded_at'],
} -%}
{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['event_id', 'first_seen_at'],
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    meta={
        'tells': {
            'int_events_identified': 'changed.event_id',
            'game_id_map': told,
            'unmatched_events': told,
        },
    },
    pre_hook=[
        "{{ claim_loads(['staging_odds_api']) }}",
        "{{ rewind(
            ref('int_events_rewound'), 'event_id', at='first_seen_at'
        ) }}",
    ],
    post_hook=["{{ release_loads() }}"],
    indexes=[{'columns': ['commences_at']}],
) }}

with rewound_events as (

    select
        event_id,
        rewound_to
    from {{ ref('int_events_rewound') }}
    where model_name = 'event_versions'

),

captures as (

    select * from {{ ref('int_captures_listed') }}

),

curtailed_responses as not materialized (

    select * from {{ ref('int_responses_curtailed') }}

),

events as not materialized (

    select * from {{ ref('stg_odds_api__events') }}

),

odds as not materialized (

    select * from {{ ref('stg_odds_api__odds') }}

),

scores as not materialized (

    select * from {{ ref('stg_odds_api__scores') }}

),

-- Scores tell of an event, but not that it is still on offer: they go on for
-- three days after its end.
listings as (

    select
        events.event_id,
        events.captured_at,
        events.sport_key,
        events.commences_at,
        events.home_team_name,
        events.away_team_name,
        true as is_on_offer
    from rewound_events
    inner join events
        on
            rewound_events.event_id = events.event_id
            and rewound_events.rewound_to <= events.captured_at

    union all

    select
        odds.event_id,
        odds.captured_at,
        odds.sport_key,
        odds.commences_at,
        odds.home_team_name,
        odds.away_team_name,
        true as is_on_offer
    from rewound_events
    inner join odds
        on
            rewound_events.event_id = odds.event_id
            and rewound_events.rewound_to <= odds.captured_at

    union all

    select
        scores.event_id,
        scores.captured_at,
        scores.sport_key,
        scores.commences_at,
        scores.home_team_name,
        scores.away_team_name,
        false as is_on_offer
    from rewound_events
    inner join scores
        on
            rewound_events.event_id = scores.event_id
            and rewound_events.rewound_to <= scores.captured_at

),

-- Two responses of one instant may disagree: the order below is arbitrary but
-- the same whatever order they arrived in.
listings_by_instant as (

    select distinct on (event_id, captured_at)
        event_id,
        captured_at,
        sport_key,
        commences_at,
        home_team_name,
        away_team_name,
        bool_or(is_on_offer) over same_instant as is_on_offer
    from listings
    window same_instant as (partition by event_id, captured_at)
    order by
        event_id,
        captured_at,
        commences_at desc,
        home_team_name,
        away_team_name

),

-- The version in force just before, and when it was last confirmed.
versions_before as (

    {% if is_incremental() -%}
    select
        latest_kept.*,
        (
            select max(seen.captured_at)
            from (
                (
                    select events.captured_at
                    from events
                    where
                        events.event_id = latest_kept.event_id
                        and events.captured_at < latest_kept.rewound_to
                    order by events.captured_at desc
                    limit 1
                )

                union all

                (
                    select odds.captured_at
                    from odds
                    where
                        odds.event_id = latest_kept.event_id
                        and odds.captured_at < latest_kept.rewound_to
                    order by odds.captured_at desc
                    limit 1
                )
            ) as seen
        ) as last_on_offer_at,
        (
            select scores.captured_at
            from scores
            where
                scores.event_id = latest_kept.event_id
                and scores.captured_at < latest_kept.rewound_to
            order by scores.captured_at desc
            limit 1
        ) as last_scored_at
    from (
        select distinct on (kept.event_id)
            kept.event_id,
            kept.first_seen_at,
            kept.sport_key,
            kept.commences_at,
            kept.home_team_name,
            kept.away_team_name,
            kept.status,
            kept.first_listed_at,
            rewound_events.rewound_to
        from rewound_events
        inner join {{ this }} as kept
            on
                rewound_events.event_id = kept.event_id
                and rewound_events.rewound_to > kept.first_seen_at
        order by
            kept.event_id,
            kept.first_seen_at desc
    ) as latest_kept
    {%- else -%}
    select
        event_id,
        captured_at as first_seen_at,
        sport_key,
        commences_at,
        home_team_name,
        away_team_name,
        null::text as status,
        captured_at as first_listed_at,
        captured_at as rewound_to,
        captured_at as last_on_offer_at,
        captured_at as last_scored_at
    from listings_by_instant
    where false
    {%- endif %}

),

times_on_offer as (

    select
        event_id,
        sport_key,
        captured_at
    from listings_by_instant
    where is_on_offer

    union all

    select
        event_id,
        sport_key,
        last_on_offer_at as captured_at
    from versions_before
    where last_on_offer_at is not null

),

events_on_offer as (

    select
        event_id,
        sport_key,
        min(captured_at) as since_at
    from times_on_offer
    group by
        event_id,
        sport_key

),

-- A response that is silent about an event may have listed it: it proves no
-- absence, and absence is counted anew from it on.
times_unknown as (

    select
        events_on_offer.event_id,
        events_on_offer.sport_key,
        silent_responses.captured_at
    from events_on_offer
    cross join
        lateral (
            select curtailed_responses.captured_at
            from curtailed_responses
            where
                curtailed_responses.sport_key = events_on_offer.sport_key
                and curtailed_responses.feed_id
                in (events_on_offer.sport_key, events_on_offer.event_id)
                and curtailed_responses.captured_at > events_on_offer.since_at
                and {{ is_silent_about(
                    'curtailed_responses', 'events_on_offer.event_id'
                ) }}
            order by curtailed_responses.captured_at
            offset 0
        ) as silent_responses

),

times_possible as (

    select
        event_id,
        sport_key,
        captured_at,
        true as is_on_offer
    from times_on_offer

    union all

    select
        event_id,
        sport_key,
        captured_at,
        false as is_on_offer
    from times_unknown

),

times_with_next as (

    select
        *,
        count(*) filter (where is_on_offer) over event_in_time
            as on_offer_count,
        lead(captured_at) over event_in_time as on_offer_again_at
    from times_possible
    window event_in_time as (
        partition by event_id
        order by
            captured_at,
            is_on_offer desc
    )

),

captures_by_sport as (

    select
        captures.sport_key,
        array_agg(distinct captures.captured_at order by captures.captured_at)
            as instants
    from captures
    where
        captures.feed_id = captures.sport_key
        and captures.captured_at >= (
            select min(times_on_offer.captured_at) from times_on_offer
        )
    group by captures.sport_key

),

-- Gone is what the capture after the next one, counted from its last listing
-- on, or from a response that may have had it, still does not show. A listing
-- in a capture is the next one itself; one by another endpoint may belong to
-- either of two captures.
times_with_miss as (

    select
        times_with_next.event_id,
        times_with_next.on_offer_count,
        times_with_next.on_offer_again_at,
        captures_by_sport.instants[
            width_bucket(
                times_with_next.captured_at - interval '1 microsecond',
                captures_by_sport.instants
            )
            + 2
        ] as missed_at
    from times_with_next
    inner join captures_by_sport
        on times_with_next.sport_key = captures_by_sport.sport_key

),

-- Once gone, it goes no second time before it is listed again.
times_first_missed as (

    select
        event_id,
        min(missed_at) as captured_at
    from times_with_miss
    where on_offer_again_at is null or on_offer_again_at > missed_at
    group by
        event_id,
        on_offer_count

),

times_missed as (

    select
        times_first_missed.event_id,
        times_first_missed.captured_at
    from times_first_missed
    inner join rewound_events
        on
            times_first_missed.event_id = rewound_events.event_id
            and times_first_missed.captured_at >= rewound_events.rewound_to

),

observations as (

    select
        event_id,
        first_seen_at as captured_at,
        sport_key,
        commences_at,
        home_team_name,
        away_team_name,
        nullif(status, 'not_offered') as known_status,
        first_listed_at,
        greatest(
            first_seen_at,
            case when status = 'listed' then last_on_offer_at end,
            last_scored_at
        ) as last_seen_at,
        true as is_told
    from versions_before

    union all

    select
        event_id,
        captured_at,
        sport_key,
        commences_at,
        home_team_name,
        away_team_name,
        case when is_on_offer then 'listed' end as known_status,
        null as first_listed_at,
        captured_at as last_seen_at,
        true as is_told
    from listings_by_instant

    union all

    select
        times_missed.event_id,
        times_missed.captured_at,
        null as sport_key,
        null as commences_at,
        null as home_team_name,
        null as away_team_name,
        'missed' as known_status,
        null as first_listed_at,
        null as last_seen_at,
        false as is_told
    from times_missed
    where
        not exists (
            select 1
            from listings_by_instant
            where
                listings_by_instant.event_id = times_missed.event_id
                and listings_by_instant.captured_at = times_missed.captured_at
        )

),

-- What a capture does not show keeps what was said of it last; what only the
-- scores show keeps its status.
observations_grouped as (

    select
        *,
        count(*) filter (where is_told) over event_in_time as told_count,
        count(known_status) over event_in_time as status_count
    from observations
    window event_in_time as (partition by event_id order by captured_at)

),

observations_filled as (

    select
        event_id,
        captured_at,
        last_seen_at,
        first_value(sport_key) over told_last as sport_key,
        first_value(commences_at) over told_last as commences_at,
        first_value(home_team_name) over told_last as home_team_name,
        first_value(away_team_name) over told_last as away_team_name,
        first_value(known_status) over status_last as known_status,
        first_value(captured_at) over status_last as known_status_at,
        coalesce(
            first_value(first_listed_at) over event_in_time,
            first_value(captured_at) over event_in_time
        ) as first_listed_at
    from observations_grouped
    window
        event_in_time as (partition by event_id order by captured_at),
        told_last as (
            partition by event_id, told_count
            order by captured_at
        ),
        status_last as (
            partition by event_id, status_count
            order by captured_at
        )

),

observations_judged as (

    select
        *,
        case
            when known_status is null then 'not_offered'
            when known_status <> 'missed' then known_status
            when known_status_at < commences_at then 'withdrawn'
            else 'ended'
        end as status
    from observations_filled

),

observations_with_previous as (

    select
        *,
        lag((status, commences_at, home_team_name, away_team_name)) over (
            partition by event_id
            order by captured_at
        ) as previous_version
    from observations_judged

),

observations_numbered as (

    select
        *,
        count(*) filter (
            where
            (status, commences_at, home_team_name, away_team_name)
            is distinct from previous_version
        ) over (
            partition by event_id
            order by captured_at
        ) as version_number
    from observations_with_previous

),

versions as (

    select
        event_id,
        version_number,
        sport_key,
        home_team_name,
        away_team_name,
        commences_at,
        status,
        first_listed_at,
        min(captured_at) as first_seen_at,
        coalesce(max(last_seen_at), min(captured_at)) as last_seen_at
    from observations_numbered
    group by
        event_id,
        version_number,
        sport_key,
        home_team_name,
        away_team_name,
        commences_at,
        status,
        first_listed_at

),

final as (

    select
        event_id,
        first_seen_at,
        last_seen_at,
        lead(first_seen_at) over (
            partition by event_id
            order by first_seen_at
        ) as superseded_at,
        sport_key,
        home_team_name,
        away_team_name,
        commences_at,
        status,
        first_listed_at
    from versions

)

select * from final
