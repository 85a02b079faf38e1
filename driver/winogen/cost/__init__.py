"""Predicted cycles: of each unit, and of a stream."""
