"""专有钉钉/浙政钉 (bot/docs/protocols.md). Never tried on a live tenant: what may differ between tenants is a setting."""
