"""All tables, by noun; `metadata` is what the migrations are checked against."""

from sqlmodel import SQLModel

metadata = SQLModel.metadata
