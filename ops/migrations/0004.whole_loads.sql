-- depends: 0003.feeds

-- Since a load is one transaction, landed rows are visible only with its row
-- in _dlt_loads. Before, a run that was killed left rows of a load that never
-- was: they go, so that nothing that reads landed rows has to ask for it.
delete from staging_odds_api.responses as landed
where not exists (
    select from staging_odds_api._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
delete from staging_odds_api.sports as landed
where not exists (
    select from staging_odds_api._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
delete from staging_odds_api.events as landed
where not exists (
    select from staging_odds_api._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
delete from staging_odds_api.odds as landed
where not exists (
    select from staging_odds_api._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
delete from staging_odds_api.scores as landed
where not exists (
    select from staging_odds_api._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
delete from staging_balldontlie.responses as landed
where not exists (
    select from staging_balldontlie._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
delete from staging_balldontlie.teams as landed
where not exists (
    select from staging_balldontlie._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
delete from staging_balldontlie.players as landed
where not exists (
    select from staging_balldontlie._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
delete from staging_balldontlie.games as landed
where not exists (
    select from staging_balldontlie._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
delete from staging_balldontlie.stats as landed
where not exists (
    select from staging_balldontlie._dlt_loads as loads
    where loads.load_id = landed._dlt_load_id and loads.status = 0
);
