"""The only printers: results as text for people, and as one JSON envelope for programs."""
