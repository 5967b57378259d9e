"""HITs, templates, the crowd server, the MTurk protocol, importers."""
