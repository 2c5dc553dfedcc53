"""Episodes whose frames other generators make: controls out, frames in."""
