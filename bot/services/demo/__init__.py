"""The demo: a made-up bureau with a year of study behind it."""
