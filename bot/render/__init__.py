"""Markdown of a model → text of a platform: rendering, healing of half-written Markdown, splitting into pages."""

from bot.render.text import escape

__all__ = ["escape"]
