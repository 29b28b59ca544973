"""The crash test: the bridge as its own process, killed at named points and at random, judged from outside. `make crash` runs all of it."""
