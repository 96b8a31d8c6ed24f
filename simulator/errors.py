"""The errors of The Odds API, as bodies with message, code and link."""

from __future__ import annotations

from simulator.source import Json

_PAGE = "https://the-odds-api.com/liveapi/guides/v4/api-error-codes.html"

MESSAGES: dict[str, tuple[int, str]] = {
    "MISSING_KEY": (401, "API key is missing"),
    "INVALID_KEY": (401, "API key is not valid. Get an API key at https://the-odds-api.com"),
    "DEACTIVATED_KEY": (401, "API key has been deactivated"),
    "OUT_OF_USAGE_CREDITS": (401, "Usage quota has been reached. See usage plans at https://the-odds-api.com\n"),
    "HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN": (401, "Historical odds are only available on paid usage plans"),
    "UNKNOWN_SPORT": (404, "Unknown sport"),
    "EVENT_NOT_FOUND": (404, "Event not found"),
    "MISSING_REGION": (422, "Missing regions or bookmakers key"),
    "INVALID_REGION": (422, "Invalid regions: {value}"),
    "INVALID_BOOKMAKERS": (422, "Invalid bookmakers: {value}"),
    "MISSING_MARKET": (422, "Missing markets"),
    "INVALID_MARKET": (422, "Invalid markets: {value}"),
    "INVALID_DATE_FORMAT": (422, "Invalid dateFormat: {value}"),
    "INVALID_ODDS_FORMAT": (422, "Invalid oddsFormat: {value}"),
    "INVALID_ALL_SPORTS_PARAM": (422, "Invalid all: {value}"),
    "INVALID_SCORES_DAYS_FROM": (422, "Invalid daysFrom: {value}"),
    "INVALID_EVENT_IDS": (422, "Invalid eventIds: {value}"),
    "INVALID_EVENT_ID": (422, "Invalid event id: {value}"),
    "MISSING_HISTORICAL_TIMESTAMP": (422, "Missing date"),
    "INVALID_HISTORICAL_TIMESTAMP": (422, "Invalid date: {value}"),
    "INVALID_COMMENCE_TIME_FROM": (422, "Invalid commenceTimeFrom: {value}"),
    "INVALID_COMMENCE_TIME_TO": (422, "Invalid commenceTimeTo: {value}"),
    "INVALID_COMMENCE_TIME_RANGE": (422, "commenceTimeFrom is not before commenceTimeTo: {value}"),
    "INVALID_INCLUDE_LINKS": (422, "Invalid includeLinks: {value}"),
    "INVALID_INCLUDE_SIDS": (422, "Invalid includeSids: {value}"),
    "INVALID_INCLUDE_BET_LIMITS": (422, "Invalid includeBetLimits: {value}"),
    "INVALID_INCLUDE_MULTIPLIERS": (422, "Invalid includeMultipliers: {value}"),
    "INVALID_INCLUDE_ROTATION_NUMBERS": (422, "Invalid includeRotationNumbers: {value}"),
    "EXCEEDED_FREQ_LIMIT": (429, "Requests are too frequent. The limit is 30 requests per second"),
}
"""HTTP status and message by error code. Messages that nobody recorded are this simulator's own wording."""


class OddsApiError(Exception):
    """A refusal of The Odds API; `status` and `body` are what goes over the wire."""

    def __init__(self, code: str, value: str = "") -> None:
        self.code = code
        self.status, message = MESSAGES[code]
        self.body: Json = {
            "message": message.replace("{value}", value),
            "error_code": code,
            "details_url": f"{_PAGE}#{code.lower().replace('_', '-')}",
        }
        super().__init__(code)
