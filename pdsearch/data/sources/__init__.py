"""One file each; importing the file registers what it holds."""
