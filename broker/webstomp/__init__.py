"""Web-STOMP sessions, and the feeds that keep them up on one node after the other."""
