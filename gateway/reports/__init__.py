"""Reports: the record of who was there, and a room in forms that other programs read."""
