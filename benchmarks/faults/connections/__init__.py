"""What clients send and hold: random requests, and hostile connections beside good ones."""
