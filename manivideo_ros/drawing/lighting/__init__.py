"""Light and shadow: what hands, objects and support plane receive of a lamp and a dome."""
