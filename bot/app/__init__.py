"""Puts the parts together: the app, its channels, the web application."""
