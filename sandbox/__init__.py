"""The outside world on loopback: Discord, Telegram and the providers, strict about their limits, with faults to inject."""
