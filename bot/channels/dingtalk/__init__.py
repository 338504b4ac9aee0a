"""钉钉 (bot/docs/protocols.md, DingTalk)."""
