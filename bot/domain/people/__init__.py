"""Who belongs to the agency, in which unit, with which tier, role and account."""
