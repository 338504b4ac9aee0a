"""Chinese text cut into words with jieba, whose dictionary is loaded on first use.

Loading takes about a second, so the app calls `load_dictionary` in a thread at start. jieba would cache a marshalled copy in the shared temporary
folder, where another user of the machine could plant a file; here the cache is written to a private folder and removed after loading.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import unicodedata
import warnings
from typing import Any

_lock = threading.Lock()
_tokenizer: Any = None


def load_dictionary() -> None:
    """Loads the dictionary; safe to call from any thread and more than once."""
    global _tokenizer
    with _lock:
        if _tokenizer is None:
            _tokenizer = _build_tokenizer()


def cut_words(text: str) -> list[str]:
    """The words of a text in their order, without spaces and punctuation."""
    if _tokenizer is None:
        load_dictionary()
    return [word for word in _tokenizer.cut(text) if any(unicodedata.category(char)[0] in "LN" for char in word)]


def _build_tokenizer() -> Any:
    with warnings.catch_warnings():
        # jieba 0.42.1 writes regular expressions without raw strings and asks for pkg_resources where setuptools stands; both only warn at import.
        for message in (".*invalid escape sequence", "pkg_resources is deprecated", "Deprecated call to `pkg_resources"):
            for category in (DeprecationWarning, SyntaxWarning, UserWarning):
                warnings.filterwarnings("ignore", message=message, category=category)
        import jieba
    logging.getLogger("jieba").setLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    with tempfile.TemporaryDirectory(prefix="words-") as private:
        tokenizer.tmp_dir = private
        tokenizer.initialize()
    return tokenizer
