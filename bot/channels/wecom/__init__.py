"""企业微信 (bot/docs/protocols.md, WeCom)."""
