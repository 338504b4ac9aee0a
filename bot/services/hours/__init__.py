"""The rules of the hours, the ledger, its hash chain and the forecast."""
