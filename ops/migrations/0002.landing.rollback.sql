drop schema staging_balldontlie cascade;
drop schema staging_odds_api cascade;
