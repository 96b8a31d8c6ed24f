"""What runs Linekeeper: settings, clock, warehouse, ledger and transformations."""
