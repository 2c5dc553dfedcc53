"""H.264, one packet per image: encoder, decoder, and what a packet holds."""
