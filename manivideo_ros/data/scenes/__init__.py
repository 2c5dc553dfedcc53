"""Samples random scenes: objects, hands, room, camera."""
