"""Certificates, their numbers and their print."""
