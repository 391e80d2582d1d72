"""Values that every room speaks: headers, messages, bodies, flows. No I/O."""
