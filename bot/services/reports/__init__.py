"""Reports written as text, JSON, CSV and xlsx."""
