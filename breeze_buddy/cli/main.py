"""The `breeze` command."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Phone campaigns held by a voice agent.")


def main() -> None:
    """Entry point of the `breeze` script."""
    app()
