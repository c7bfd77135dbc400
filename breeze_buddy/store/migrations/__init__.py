"""Alembic's migrations, run by `breeze migrate`."""
