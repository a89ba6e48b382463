"""What is measured, one scenario a file."""
