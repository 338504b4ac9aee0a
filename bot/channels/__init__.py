"""The channels: what each platform sends us, and how messages are sent to it."""
