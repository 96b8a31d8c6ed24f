"""The settings: environment variables, or a `.env` file in the checkout."""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ops.errors import SettingsError
from ops.paths import ROOT

Csv = Annotated[tuple[str, ...], NoDecode]

_REMEDIES = {
    "odds_api_key": "get one at https://the-odds-api.com",
    "balldontlie_api_key": "get one at https://app.balldontlie.io",
    "odds_api_url": "for example https://api.the-odds-api.com",
    "balldontlie_url": "for example https://api.balldontlie.io",
    "odds_api_sports": "comma-separated sport keys, for example basketball_nba",
    "odds_api_regions": "comma-separated regions, for example us,us2",
    "odds_api_bookmakers": "comma-separated bookmaker keys, or leave it unset to take those of ODDS_API_REGIONS",
    "odds_api_markets": "comma-separated market keys, for example h2h,spreads,totals",
    "odds_api_monthly_credits": "a whole number of credits, for example 20000, or leave it unset for no limit",
    "balldontlie_requests_per_minute": "a whole number, 5 for the free tier, 60 for all-star, 600 for goat",
    "pgport": "a port number, for example 5432",
    "linekeeper_log_format": "console or json",
    "linekeeper_task_attempts": "how often a task is tried in one cycle, a whole number from 1 to 20",
}


class Settings(BaseSettings):
    """Everything that can be configured. Each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    odds_api_key: SecretStr | None = None
    odds_api_url: str = "https://api.the-odds-api.com"
    odds_api_sports: Csv = ("basketball_nba",)
    odds_api_regions: Csv = ("us",)
    odds_api_bookmakers: Csv = ()
    odds_api_markets: Csv = ("h2h", "spreads", "totals")
    odds_api_monthly_credits: int | None = Field(default=None, ge=0)

    balldontlie_api_key: SecretStr | None = None
    balldontlie_url: str = "https://api.balldontlie.io"
    balldontlie_requests_per_minute: int = Field(default=5, ge=1, le=100_000)

    pghost: str | None = None
    pgport: int = Field(default=5432, ge=1, le=65535)
    pguser: str | None = None
    pgpassword: SecretStr | None = None
    pgdatabase: str = "linekeeper"
    linekeeper_reader_password: SecretStr | None = None

    linekeeper_warehouse_dir: Path = ROOT / ".warehouse"
    linekeeper_log_format: Literal["console", "json"] = "console"
    linekeeper_task_attempts: int = Field(default=3, ge=1, le=20)

    @field_validator("odds_api_sports", "odds_api_regions", "odds_api_bookmakers", "odds_api_markets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        words = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
        for word in words:
            if not word.replace("_", "").isalnum() or not word.isascii() or word != word.lower():
                raise ValueError(f"{word!r} is not a key of lower-case letters, digits and underscores")
        return words

    @field_validator("odds_api_sports", "odds_api_markets")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("it names nothing")
        return value

    @field_validator("odds_api_url", "balldontlie_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            has_host = bool(parts.hostname)
        except ValueError:
            has_host = False
        if not has_host or parts.scheme not in ("http", "https"):
            raise ValueError("it is not an http or https address")
        if parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("it must hold no key, user name, query or fragment")
        return value.rstrip("/")

    @field_validator("odds_api_key", "balldontlie_api_key")
    @classmethod
    def _printable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            text = value.get_secret_value()
            if not text.isascii() or not text.isprintable() or " " in text:
                raise ValueError("it holds a space or a character that no key has")
        return value

    def odds_key(self) -> SecretStr:
        """Return the key of The Odds API.

        Raises:
            SettingsError: ODDS_API_KEY is not set.
        """
        return _required(self.odds_api_key, "odds_api_key")

    def balldontlie_key(self) -> SecretStr:
        """Return the key of BallDontLie.

        Raises:
            SettingsError: BALLDONTLIE_API_KEY is not set.
        """
        return _required(self.balldontlie_api_key, "balldontlie_api_key")


def _required(secret: SecretStr | None, field: str) -> SecretStr:
    if secret is None or not secret.get_secret_value():
        raise SettingsError(
            f"{field.upper()} is not set: {_REMEDIES[field]} and set it in the environment or in .env "
            "(`python orchestrate.py demo` needs no key)"
        )
    return secret


def load_settings() -> Settings:
    """Read and check the settings.

    What the environment does not set is read from `.env` in the checkout, or from the file that
    LINEKEEPER_ENV_FILE names.

    Raises:
        SettingsError: a value is wrong; the message names the variable and says how to set it.
    """
    env_file = Path(os.environ.get("LINEKEEPER_ENV_FILE") or ROOT / ".env")
    try:
        settings = Settings(_env_file=env_file)  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        reason = str(first["msg"]).removeprefix("Value error, ")
        remedy = _REMEDIES.get(field, "see .env.example")
        raise SettingsError(f"{field.upper()} is wrong: {reason[:1].lower()}{reason[1:]}; set it to {remedy}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file} is not UTF-8 text: save it as UTF-8") from None
    if settings.pghost is not None:
        _check_external(settings)
    return settings


def _check_external(settings: Settings) -> None:
    if settings.pghost and settings.pghost.startswith("/"):
        raise SettingsError(
            f"PGHOST is {settings.pghost!r}, a socket directory: set it to a host name or address; "
            "Linekeeper connects over TCP"
        )
    for name, value in (("PGUSER", settings.pguser), ("PGPASSWORD", settings.pgpassword)):
        if value is None:
            raise SettingsError(
                f"PGHOST is set to {settings.pghost!r} but {name} is not: set it too, "
                "or unset PGHOST to use the embedded server"
            )


def silence_usage_statistics() -> None:
    """Turn the usage statistics of dbt and dlt off, unless the user has turned them on."""
    os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
