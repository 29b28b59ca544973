"""The bridge: platform events in, provider answers out."""
