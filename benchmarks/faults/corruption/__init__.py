"""Files of which a byte has changed, and all that reads them."""
