"""Nothing that git tracks holds a secret or depends on one machine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ops.paths import ROOT

SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a token of GitHub": r"\bgh[pousr]_[A-Za-z0-9]{36}",
    "an access key of AWS": r"\bAKIA[0-9A-Z]{16}\b",
    "a key of The Odds API": r"(?i)api_?key[\"']?\s*[=:,]\s*[\"']?[0-9a-f]{32}\b",
    "a key of BallDontLie": r"(?i)(api_?key|authorization)[\"']?\s*[=:,]\s*[\"']?[0-9a-f]{8}(-[0-9a-f]{4,12}){4}\b",
    "a password in an address": r"\b[a-z]+://[^/\s:@{}<>\"']+:(?!password@)[^/\s:@{}<>\"'*]+@(?!127\.0\.0\.1|localhost|example\b)",
}
"""Kinds of secret and how they look. Names of variables and made-up keys in tests do not look so."""

PATHS = {
    "a home folder": r"(?<![\w.])/(home|Users)/(?!user\b|you\b)\w+",
    "the home of root": r"(?<![\w.])/root/",
    "a folder of one machine": r"(?<![\w.~-])/(work|workspace|mnt)/\w",
    "a temporary file": r"(?<![\w.])/tmp/\w",
    "a drive": r"\b[A-Z]:\\\\?(Users|home)",
}
"""Kinds of path that exist on one machine and how they look."""

UNREAD = {"uv.lock", "LICENSE"}


def findings(text: str, patterns: dict[str, str]) -> list[str]:
    """Return `line: kind` for each line that looks like one of the kinds; never the line itself."""
    return [
        f"{number}: {kind}"
        for number, line in enumerate(text.splitlines(), 1)
        for kind, pattern in patterns.items()
        if re.search(pattern, line)
    ]


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are tracked")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name and name not in UNREAD]
    return [path for path in paths if path.is_file() and path != Path(__file__)]


def test_no_tracked_file_holds_a_secret_or_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{finding}"
        for path in tracked_files()
        for finding in findings(path.read_text(errors="replace"), SECRETS | PATHS)
    ]
    assert found == []


def test_no_tracked_file_is_data() -> None:
    large = [str(path.relative_to(ROOT)) for path in tracked_files() if path.stat().st_size > 400_000]
    assert large == [], "recordings and databases stay out of the repository"


@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "token = 'ghp_" + "a1B2" * 9 + "'",
        "AKIAIOSFODNN7EXAMPLE",
        "https://api.the-odds-api.com/v4/sports?apiKey=" + "0a1b2c3d" * 4,
        "ODDS_API_KEY=" + "0a1b2c3d" * 4,
        '"Authorization": "01234567-89ab-cdef-0123-456789abcdef"',
        "postgresql://admin:hunter2@db.internal/linekeeper",
    ],
)
def test_a_secret_is_found(line: str) -> None:
    assert findings(line, SECRETS)


@pytest.mark.parametrize(
    "line", ["/home/ann/x", "/Users/ann", "open('/root/.env')", "/work/x", "cd /tmp/x", r"C:\Users\ann"]
)
def test_a_path_of_one_machine_is_found(line: str) -> None:
    assert findings(line, PATHS)


@pytest.mark.parametrize(
    "line",
    [
        "ODDS_API_KEY=your-key-here",
        "apiKey=simulated-key",
        "event_id: " + "0a1b2c3d" * 4,
        "postgresql://{user}:{password}@{host}/{database}",
        "ops/work/queue, ~/.cache/tmp/x, https://example.com/home/page",
        "#!/usr/bin/env bash",
    ],
)
def test_what_only_looks_like_it_is_allowed(line: str) -> None:
    assert findings(line, SECRETS | PATHS) == []
