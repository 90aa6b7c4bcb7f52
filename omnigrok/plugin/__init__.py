"""What pytest sees: options, items, reports, exit status."""
