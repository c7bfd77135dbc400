"""SQLAlchemy tables, queries and migrations on SQLite or PostgreSQL. Nobody else writes SQL."""
