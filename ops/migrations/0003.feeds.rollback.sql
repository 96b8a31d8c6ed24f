drop index staging_odds_api.responses_by_feed;
