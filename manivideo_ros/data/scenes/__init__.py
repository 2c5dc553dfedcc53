"""Random scenes before they are rendered: objects, hands, room, camera."""
