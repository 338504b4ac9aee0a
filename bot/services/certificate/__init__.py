"""Certificates: issue, revocation, replacement, public verification and PDF."""
