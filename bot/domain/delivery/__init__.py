"""How something reaches a person: queue, quota, quiet hours, reminders."""
