"""The demo: a made-up bureau and its past."""
