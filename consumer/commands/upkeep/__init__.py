"""Commands that look after what is stored, from release to release."""
