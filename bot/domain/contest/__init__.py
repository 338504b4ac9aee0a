"""Windowed and live contests, duels, teams and leaderboards."""
