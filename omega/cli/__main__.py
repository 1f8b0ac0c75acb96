"""`python -m omega.cli`: the same command where no console script is installed."""

from omega.cli import main

if __name__ == "__main__":
    main()
