"""Blueprints, papers, attempts, time and results."""
