"""微信公众号 (bot/docs/protocols.md, WeChat Official Account)."""
