"""Where things are, found from the checkout and never from the current directory."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the folder of orchestrate.py and dbt_project.yml."""

MIGRATIONS = ROOT / "ops" / "migrations"
