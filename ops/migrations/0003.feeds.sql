-- depends: 0002.landing

-- The captures of one feed (a sport, or one event of it) in order of time: a
-- sport with sixty events has sixty feeds of its own, and their captures would
-- be skipped one by one to find the last of one feed.
create index responses_by_feed on staging_odds_api.responses
(sport_key, coalesce(event_id, sport_key), captured_at);
