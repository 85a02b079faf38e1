"""Programs on a device."""
