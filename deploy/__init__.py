"""How the service is put where others can reach it: as a bento, and from that as a container."""
