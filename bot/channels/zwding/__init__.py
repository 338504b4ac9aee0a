"""专有钉钉/浙政钉 (bot/docs/protocols.md). Not tried on a tenant: whatever may differ there is a setting."""
