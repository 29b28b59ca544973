"""Markdown of a model → text of a platform: rendering, healing of half-written Markdown, splitting into pages."""
