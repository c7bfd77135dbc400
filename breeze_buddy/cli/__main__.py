"""`python -m breeze_buddy.cli`: the `breeze` command without its script."""

from breeze_buddy.cli.main import main

if __name__ == "__main__":
    main()
