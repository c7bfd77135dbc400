"""`breeze doctor`: whether an installation can do its work, and what to do where it cannot."""
