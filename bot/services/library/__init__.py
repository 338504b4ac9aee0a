"""Laws, lessons, banks and what may be told of their keys."""
