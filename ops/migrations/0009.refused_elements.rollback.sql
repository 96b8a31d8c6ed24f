drop index staging_odds_api.responses_curtailed;
alter table staging_odds_api.responses drop column refused_event_ids;
