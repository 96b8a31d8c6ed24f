"""Settings: what is read, from where, and what a wrong one says."""

from pathlib import Path

import pytest

from ops.errors import SettingsError
from ops.settings import load_settings


def test_everything_has_a_default_but_the_keys() -> None:
    settings = load_settings()
    assert settings.odds_api_url == "https://api.the-odds-api.com"
    assert settings.balldontlie_url == "https://api.balldontlie.io"
    assert settings.odds_api_markets == ("h2h", "spreads", "totals")
    assert settings.odds_api_key is None
    assert settings.balldontlie_requests_per_minute == 5


@pytest.mark.parametrize(
    ("call", "variable"), [("odds_key", "ODDS_API_KEY"), ("balldontlie_key", "BALLDONTLIE_API_KEY")]
)
def test_a_missing_key_is_named_in_one_line_with_its_remedy(call: str, variable: str) -> None:
    with pytest.raises(SettingsError) as error:
        getattr(load_settings(), call)()
    assert str(error.value).startswith(f"{variable} is not set: ")
    assert "\n" not in str(error.value)
    assert ".env" in str(error.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ODDS_API_URL", "api.the-odds-api.com"),
        ("ODDS_API_URL", "ftp://api.the-odds-api.com"),
        ("ODDS_API_URL", "https://[::1"),
        ("BALLDONTLIE_URL", "https://host/?apiKey=hidden-in-the-url"),
        ("BALLDONTLIE_URL", "https://user:hidden-in-the-url@example.org"),
        ("BALLDONTLIE_REQUESTS_PER_MINUTE", "0"),
        ("BALLDONTLIE_REQUESTS_PER_MINUTE", "five"),
        ("ODDS_API_MONTHLY_CREDITS", "-1"),
        ("ODDS_API_SPORTS", "Basketball NBA"),
        ("ODDS_API_MARKETS", ","),
        ("ODDS_API_KEY", "two words"),
        ("PGPORT", "postgres"),
        ("PGPORT", "70000"),
        ("LINEKEEPER_LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value).startswith(f"{variable} is wrong: ")
    assert "set it to" in str(error.value)
    assert "\n" not in str(error.value)
    assert "hidden-in-the-url" not in str(error.value)


def test_lists_lose_blanks_and_repeats_and_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODDS_API_MARKETS", " totals, h2h,,totals ")
    assert load_settings().odds_api_markets == ("totals", "h2h")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODDS_API_REGIONS", "")
    monkeypatch.setenv("PGHOST", "")
    assert load_settings().odds_api_regions == ("us",)
    assert load_settings().pghost is None


def test_the_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("ODDS_API_KEY=of-the-file\nODDS_API_REGIONS=uk\n")
    monkeypatch.setenv("LINEKEEPER_ENV_FILE", str(tmp_path / ".env"))
    monkeypatch.setenv("ODDS_API_REGIONS", "eu")
    settings = load_settings()
    assert settings.odds_key().get_secret_value() == "of-the-file"
    assert settings.odds_api_regions == ("eu",)


def test_a_key_is_not_shown_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODDS_API_KEY", "a-key-nobody-sees")
    monkeypatch.setenv("PGPASSWORD", "a-password-nobody-sees")
    assert "nobody-sees" not in repr(load_settings())


@pytest.mark.parametrize("missing", ["PGUSER", "PGPASSWORD"])
def test_a_server_of_your_own_needs_a_user_and_a_password(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGUSER", "PGPASSWORD"):
        monkeypatch.setenv(name, "localhost")
    monkeypatch.delenv(missing)
    with pytest.raises(SettingsError, match=f"PGHOST is set to 'localhost' but {missing} is not"):
        load_settings()


def test_a_socket_directory_is_refused_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "/var/run/postgresql")
    with pytest.raises(SettingsError, match="set it to a host name"):
        load_settings()
