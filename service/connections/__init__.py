"""Connections: the HTTP protocol, and bounds on what a peer can hold before anybody has asked for its key."""
