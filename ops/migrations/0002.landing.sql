-- depends: 0001.ops

-- Where dlt lands raw payloads: append only, one row per element of a response,
-- exactly as received. dlt finds these tables and columns in place and only
-- adds to them; they stand here so that dbt builds on an empty warehouse and
-- so that landed rows are found by index. `responses` has one row per response
-- that arrived whole, empty ones too: it is what says "we looked, and it was
-- not there".
create schema staging_odds_api;

create table staging_odds_api._dlt_loads (
    load_id varchar not null,
    schema_name varchar,
    status bigint not null,
    inserted_at timestamptz not null,
    schema_version_hash varchar,
    -- Ours, not dlt's: order of arrival, by which models find new loads.
    landed_number bigint generated always as identity unique
);
create unique index on staging_odds_api._dlt_loads (load_id);

create table staging_odds_api.responses (
    request_id text not null,
    endpoint text not null,
    captured_at timestamptz not null,
    sport_key text,
    event_id text,
    markets_asked text,
    regions_asked text,
    bookmakers_asked text,
    params jsonb not null,
    origin text not null,
    element_count bigint not null,
    response_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_odds_api.responses (_dlt_load_id);
create index on staging_odds_api.responses (response_hash);
create index on staging_odds_api.responses (sport_key, captured_at);
create index on staging_odds_api.responses (endpoint, captured_at);

create table staging_odds_api.sports (
    sport_key text not null,
    captured_at timestamptz not null,
    request_id text not null,
    payload jsonb not null,
    payload_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_odds_api.sports (_dlt_load_id);
create index on staging_odds_api.sports (sport_key, captured_at);

create table staging_odds_api.events (
    event_id text not null,
    sport_key text not null,
    captured_at timestamptz not null,
    request_id text not null,
    payload jsonb not null,
    payload_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_odds_api.events (_dlt_load_id);
create index on staging_odds_api.events (event_id, captured_at);
create index on staging_odds_api.events (sport_key, captured_at);

create table staging_odds_api.odds (
    event_id text not null,
    sport_key text not null,
    captured_at timestamptz not null,
    request_id text not null,
    payload jsonb not null,
    payload_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_odds_api.odds (_dlt_load_id);
create index on staging_odds_api.odds (event_id, captured_at);
create index on staging_odds_api.odds (sport_key, captured_at);

create table staging_odds_api.scores (
    event_id text not null,
    sport_key text not null,
    captured_at timestamptz not null,
    request_id text not null,
    payload jsonb not null,
    payload_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_odds_api.scores (_dlt_load_id);
create index on staging_odds_api.scores (event_id, captured_at);

create schema staging_balldontlie;

create table staging_balldontlie._dlt_loads (
    load_id varchar not null,
    schema_name varchar,
    status bigint not null,
    inserted_at timestamptz not null,
    schema_version_hash varchar,
    -- Ours, not dlt's: order of arrival, by which models find new loads.
    landed_number bigint generated always as identity unique
);
create unique index on staging_balldontlie._dlt_loads (load_id);

create table staging_balldontlie.responses (
    request_id text not null,
    endpoint text not null,
    captured_at timestamptz not null,
    params jsonb not null,
    origin text not null,
    element_count bigint not null,
    response_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_balldontlie.responses (_dlt_load_id);
create index on staging_balldontlie.responses (response_hash);
create index on staging_balldontlie.responses (endpoint, captured_at);

create table staging_balldontlie.teams (
    team_id bigint not null,
    captured_at timestamptz not null,
    request_id text not null,
    payload jsonb not null,
    payload_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_balldontlie.teams (_dlt_load_id);
create index on staging_balldontlie.teams (team_id, captured_at);

create table staging_balldontlie.players (
    player_id bigint not null,
    captured_at timestamptz not null,
    request_id text not null,
    payload jsonb not null,
    payload_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_balldontlie.players (_dlt_load_id);
create index on staging_balldontlie.players (player_id, captured_at);

create table staging_balldontlie.games (
    game_id bigint not null,
    captured_at timestamptz not null,
    request_id text not null,
    payload jsonb not null,
    payload_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_balldontlie.games (_dlt_load_id);
create index on staging_balldontlie.games (game_id, captured_at);

create table staging_balldontlie.stats (
    stat_id bigint not null,
    game_id bigint not null,
    captured_at timestamptz not null,
    request_id text not null,
    payload jsonb not null,
    payload_hash text not null,
    _dlt_load_id varchar not null,
    _dlt_id varchar not null
);
create index on staging_balldontlie.stats (_dlt_load_id);
create index on staging_balldontlie.stats (game_id, captured_at);
