"""Trains, exports and verifies the bundles that `service` serves."""
