"""Text files: encoding, delimiter, header and lines."""
