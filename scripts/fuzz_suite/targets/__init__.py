"""The targets. Each module has `check`, which takes any bytes and raises if its property does not
hold, and `SEEDS`, from which mutation starts."""
