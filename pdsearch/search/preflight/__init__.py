"""What is tried and decided before a study begins: networks, precision, resources."""
