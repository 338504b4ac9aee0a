"""Text as people type it: numbers, words, answers."""
