"""Chat words to calls to Chinese sentences."""
