"""What is measured, a topic a module: `measure` gives rows with targets, `tables` gives other tables."""
